package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/config"
	ondisk "mfa/internal/config/disk"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// Kinds of people, by what they have set up.
const (
	withApp     = iota // an app, an address and codes on paper
	withAppOnly        // an app
	withToken          // a token and an address
	withMail           // an address
	withPhone          // a number
	withBoth           // a number that is preferred, and an address
	newcomer           // nothing, or what was set up at the last login
	kinds
)

// shares is how many of twenty users are of a kind, but for newcomers.
var shares = [kinds]int{withApp: 8, withAppOnly: 2, withToken: 4, withMail: 3, withPhone: 2, withBoth: 1}

// newcomers is one user of so many.
const newcomers = 200

// usual is how an app shows codes.
var usual = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

// firstUID is the number of the first user.
const firstUID = 200_000

// A user is a person with what they hold.
type user struct {
	n      int
	name   string
	kind   int
	place  string // where they log in from
	secret []byte
	step   int64 // the last whose code was typed
	count  int64 // of the next code that the token shows
	backup []string
	box    *box // where codes come
	taken  bool // in a story; guarded by people.mu, and while it is, the rest is the story's
}

// people are all there are, in rows by kind.
type people struct {
	all  []*user
	mu   sync.Mutex // guards rows' order and taken
	rows [kinds][]*user
	next [kinds]int // guarded by mu
}

func newPeople(n int) *people {
	p := &people{}
	var wheel []int
	for k, share := range shares {
		for range share {
			wheel = append(wheel, k)
		}
	}
	for i := range n {
		u := &user{n: i, name: fmt.Sprintf("soak%05d", i), kind: wheel[i%len(wheel)], box: newBox()}
		u.place = fmt.Sprintf("198.%d.%d.%d", 18+i>>16, i>>8&255, i&255)
		if i%newcomers == 7 {
			u.kind = newcomer
		}
		p.all = append(p.all, u)
		p.rows[u.kind] = append(p.rows[u.kind], u)
	}
	return p
}

func (u *user) mail() string  { return u.name + "@example.com" }
func (u *user) phone() string { return fmt.Sprintf("+1789%07d", 2_000_000+u.n) }

// accounts are their lines of /etc/passwd.
func (p *people) accounts() []byte {
	var b strings.Builder
	for _, u := range p.all {
		fmt.Fprintf(&b, "%s:x:%d:100::/nonexistent:/bin/sh\n", u.name, firstUID+u.n)
	}
	return []byte(b.String())
}

// take returns the user of a kind whose last story is the longest ago, or nil. Who has shown
// the code that their app shows now has to wait for the next.
func (p *people) take(kind int) *user {
	p.mu.Lock()
	defer p.mu.Unlock()
	row, now := p.rows[kind], otp.Step(time.Now(), usual.Period)
	for range row {
		u := row[p.next[kind]%len(row)]
		p.next[kind]++
		if !u.taken && u.step < now {
			u.taken = true
			return u
		}
	}
	return nil
}

func (p *people) leave(u *user) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.taken = false
}

// shows returns the code of the app. Each code is shown once, if there is one that is good
// and was not yet.
func (u *user) shows() string {
	now := otp.Step(time.Now(), usual.Period)
	u.step = min(max(u.step+1, now), now+1)
	return u.code(u.step)
}

// code returns that of a step or a count.
func (u *user) code(at int64) string {
	code, err := otp.Code(u.secret, at, usual)
	if err != nil {
		panic(err)
	}
	return code
}

// presses returns the next code of the token.
func (u *user) presses() string {
	u.count++
	return u.code(u.count - 1)
}

// own returns the next code of what shows codes by itself.
func (u *user) own() string {
	if u.kind == withToken {
		return u.presses()
	}
	return u.shows()
}

// wrong returns a code that is right neither now nor soon.
func (u *user) wrong() string {
	var right []string
	first, n := otp.Step(time.Now(), usual.Period)-15, int64(30)
	if u.kind == withToken {
		first, n = u.count, 30
	}
	for at := first; at < first+n && u.secret != nil; at++ {
		right = append(right, u.code(max(0, at)))
	}
	for {
		var b [4]byte
		_, _ = rand.Read(b[:])
		code := fmt.Sprintf("%06d", binary.BigEndian.Uint32(b[:])%1e6)
		if !slices.Contains(right, code) && !u.box.holds(code) {
			return code
		}
	}
}

// paperSets is how many sets of backup codes there are: each is some users', as making one
// takes seconds.
const paperSets = 3

// settle writes the records of all into a new store.
func (p *people) settle(w *world) (err error) {
	ctx := context.Background()
	cfg := config.Default()
	cfg.Store.Path, cfg.Secrets.KeyFile = w.path("store"), w.path("key")
	var key *seal.Key
	s, err := local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		var err error
		key, err = ondisk.OpenKey(cfg, known, slog.New(slog.DiscardHandler))
		return key, err
	})
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	if err := store.CheckFormat(ctx, s); err != nil {
		return err
	}
	if err := account.NoteKey(ctx, s, key); err != nil {
		return err
	}
	var sets [paperSets]mfa.BackupSet
	var codes [paperSets][]string
	for i := range sets {
		if codes[i], sets[i], err = factor.NewBackupSet(rand.Reader, 50); err != nil {
			return err
		}
		sets[i].Made = time.Now().Add(-time.Hour)
	}
	for _, u := range p.all {
		if u.kind == newcomer {
			continue
		}
		set := u.n % paperSets
		u.backup = codes[set]
		text, err := record.EncodeEnrollment(u.name, u.enrollment(key, &sets[set]))
		if err != nil {
			return err
		}
		// The store would sync each.
		if err := os.WriteFile(filepath.Join(w.path("store/users"), u.name+".toml"), text, 0o600); err != nil {
			return err
		}
	}
	return p.fill(account.Records{S: s}, key)
}

// spent is how many codes that were sent and are good no more mfad keeps of a user, for a day.
const spent = 16

// fill writes states of people whom codes were sent to all day: a store that fills during the
// run would seem to grow.
func (p *people) fill(r account.Records, key *seal.Key) error {
	const atOnce = 64 // which are written with one sync
	errs := make([]error, atOnce)
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for n := i; n < len(p.all) && errs[i] == nil; n += atOnce {
				if u := p.all[n]; u.kind == withApp || u.kind == withMail || u.kind == withPhone || u.kind == withBoth {
					errs[i] = u.fill(r, key)
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// fill writes the state of a user.
func (u *user) fill(r account.Records, key *seal.Key) error {
	id, method, to := mfa.Identity{Name: u.name, UID: uint32(firstUID + u.n)}, mfa.Email, u.mail()
	if u.kind == withPhone || u.kind == withBoth {
		method, to = mfa.SMS, u.phone()
	}
	now := time.Now()
	return r.UpdateState(context.Background(), u.name, func(st *mfa.State) error {
		st.UID, st.Ended = id.UID, nil
		for range spent {
			code := factor.NewPending(key, id, mfa.Origin{Service: "sshd", Address: u.place}, method, to, "000000", now, 10*time.Minute)
			st.Ended = append(st.Ended, mfa.EndedCode{PendingCode: code, Why: mfa.CodeUsed, At: now})
		}
		return nil
	})
}

// enrollment returns the record of a user.
func (u *user) enrollment(key *seal.Key, set *mfa.BackupSet) mfa.Enrollment {
	now := time.Now().Add(-time.Hour)
	u.secret = otp.NewSecret("SHA1")
	en := mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: uint32(firstUID + u.n)}
	address := &mfa.Address{Address: u.mail(), Confirmed: now}
	number := &mfa.Address{Address: u.phone(), Confirmed: now}
	switch u.kind {
	case withApp:
		en.Email, en.Backup = address, set
		fallthrough
	case withAppOnly:
		en.TOTP = &mfa.TOTPSecret{
			Secret: key.Seal(u.secret, u.name, "totp.secret"), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(usual.Period), Confirmed: now,
		}
	case withToken:
		en.Email = address
		en.HOTP = &mfa.HOTPSecret{Secret: key.Seal(u.secret, u.name, "hotp.secret"), Algorithm: "SHA1", Digits: 6, Confirmed: now}
	case withMail:
		en.Email = address
	case withPhone:
		en.SMS = number
	case withBoth:
		en.SMS, en.Email, en.Preferred = number, address, mfa.SMS
	}
	return en
}
