package main

import (
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	"mfa/e2e/history"
	"mfa/internal/factor/otp"
)

// folk are users that every Debian has.
var folk = []string{"games", "man", "news", "lp", "daemon", "bin", "sys", "mail", "uucp", "proxy", "backup", "list"}

// params are those of the apps.
var params = otp.Params{Digits: 8, Period: 30 * time.Second, Algorithm: "SHA1"}

// reach is how far from now the steps are that are typed. mfad takes 10, and a login may hang.
const reach = 5

// An owner is a user with all that they ever held, newest last. Its clients share it.
type owner struct {
	name string

	mu   sync.Mutex // guards all below
	apps []*app
	sets []*paper
	made int // names given out
}

// An app is an authenticator app.
type app struct {
	name   string
	secret []byte
	used   int64 // the newest step that was right, as far as is known
}

// A paper is a set of backup codes.
type paper struct {
	name  string
	codes []string
}

// kept is how many apps and sets of a user are kept, to be tried again.
const kept = 4

// next returns a name that nothing of the owner has.
func (o *owner) next(what string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.made++
	return fmt.Sprintf("%s %d", what, o.made)
}

var (
	keyOfApp   = regexp.MustCompile(`secret=([A-Z2-7]+)`)
	backupCode = regexp.MustCompile(`\b[2-9a-y]{4}(?:-[2-9a-y]{4}){3}\b`)
)

// secretIn returns the secret of an app that a text shows.
func secretIn(text string) ([]byte, error) {
	m := keyOfApp.FindStringSubmatch(strings.Join(strings.Fields(text), ""))
	if m == nil {
		return nil, fmt.Errorf("no secret in %q", text)
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(m[1])
}

// sees returns the app with a secret. If it was not known by that name, it gets the name.
func (o *owner) sees(secret []byte, name string) *app {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.apps {
		if string(a.secret) == string(secret) {
			return a
		}
	}
	a := &app{name: name, secret: secret}
	o.apps = append(o.apps, a)
	o.apps = o.apps[max(0, len(o.apps)-kept):]
	return a
}

// keeps notes new backup codes.
func (o *owner) keeps(name string, codes []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sets = append(o.sets, &paper{name, codes})
	o.sets = o.sets[max(0, len(o.sets)-kept):]
}

// now is the step that apps are at.
func now() int64 { return otp.Step(time.Now(), params.Period) }

// accepted notes that a step of an app was right.
func (o *owner) accepted(a *app, step int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a.used = max(a.used, step)
}

// A typed is a code to type, and what it is.
type typed struct {
	code string
	history.Action
	app *app
}

// byApp returns a code of the newest app, or now and then of a former one: one that should
// be good, or any. It returns a guess if there is none.
func (o *owner) byApp(r *rand.Rand) typed {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.apps) == 0 {
		return typed{code: digits(r), Action: history.Action{Kind: history.Guess}}
	}
	a := o.apps[len(o.apps)-1]
	if r.IntN(5) == 0 {
		a = o.apps[r.IntN(len(o.apps))]
	}
	step := now() - reach + r.Int64N(2*reach+1)
	if next := max(a.used+1, now()-reach); r.IntN(4) > 0 && next <= now()+reach {
		step = next
	}
	return a.shows(step)
}

// shows returns the code of a step.
func (a *app) shows(step int64) typed {
	code, err := otp.Code(a.secret, step, params)
	if err != nil {
		panic(err) // the parameters are good
	}
	return typed{code, history.Action{Kind: history.AppCode, Of: a.name, N: step}, a}
}

// late reports whether a code may have been out of the window when it was looked at.
func (c typed) late() bool { return c.N < now()-reach-3 }

// wrong returns a code that no app of the owner shows now.
func (o *owner) wrong(r *rand.Rand) typed {
	o.mu.Lock()
	defer o.mu.Unlock()
again:
	code := digits(r)
	for _, a := range o.apps {
		for step := now() - 3*reach; step <= now()+3*reach; step++ {
			if a.shows(step).code == code {
				goto again
			}
		}
	}
	return typed{code: code, Action: history.Action{Kind: history.Guess}}
}

func digits(r *rand.Rand) string { return fmt.Sprintf("%08d", r.IntN(1e8)) }

// onPaper returns a backup code: of the newest set, most often one of the first, or now and
// then of a former one, or one that is none. It returns the latter if there is no set.
func (o *owner) onPaper(r *rand.Rand) typed {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sets) == 0 {
		return typed{code: "2222-3333-4444-5555", Action: history.Action{Kind: history.Guess}}
	}
	set := o.sets[len(o.sets)-1]
	if r.IntN(5) == 0 {
		set = o.sets[r.IntN(len(o.sets))]
	}
	n := r.IntN(1 + r.IntN(len(set.codes)))
	if r.IntN(5) == 0 {
		return typed{code: set.codes[n][:15] + set.codes[(n+1)%len(set.codes)][:4], Action: history.Action{Kind: history.Guess}}
	}
	return typed{code: set.codes[n], Action: history.Action{Kind: history.BackupCode, Of: set.name, N: int64(n)}}
}
