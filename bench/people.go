package main

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mfa/internal/factor/otp"
)

// usual is what every authenticator app is set up with.
var usual = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

// firstUID is that of bench0; c/nss.c has the same.
const firstUID = 1000000

func userName(n int) string { return fmt.Sprintf("bench%d", n) }

// secretOf returns the secret of a user's app: always the same, so that nobody keeps it.
func secretOf(n int) []byte {
	sum := sha256.Sum256([]byte("secret of " + userName(n)))
	return sum[:20]
}

func step() int64 { return otp.Step(time.Now(), usual.Period) }

// calm waits for the next step if the present one ends within d: codes that are made now
// are good for that long.
func calm(d time.Duration) {
	if left := time.Until(time.Unix((step()+1)*int64(usual.Period/time.Second), 0)); left < d {
		time.Sleep(left + 5*time.Millisecond)
	}
}

// attempt is one login of user n that is to end with a code of PAM. A code that went out
// of date on the way there is no failure: the next one is tried.
func (b *bench) attempt(next func(n int) (shot, error), n int, synced bool, want int) (timing, error) {
	for try := 0; ; try++ {
		calm(300 * time.Millisecond)
		sh, err := next(n)
		if err != nil {
			return timing{}, err
		}
		made := step()
		got, err := b.client.login(sh, synced)
		if err != nil || got.code == want {
			return got, err
		}
		if try > 0 || made == step() {
			return got, fmt.Errorf("%s of %s ended with PAM code %d, not %d", sh.service, sh.user, got.code, want)
		}
	}
}

// codes hands out the codes of users for one candidate: three a user at first, then one a
// step, each newer than the last, as both we and the peers want it. The window is one
// step to either side.
type codes struct {
	first int64         // no step before this one is good
	last  map[int]int64 // by user
}

func newCodes(first int64) *codes { return &codes{first: first, last: map[int]int64{}} }

// next returns an unused code of user n, and waits until there is one.
func (c *codes) next(n int) (string, error) {
	s := max(c.first, c.last[n]+1, step()-1)
	for step()+1 < s {
		time.Sleep(50 * time.Millisecond)
	}
	c.last[n] = s
	return otp.Code(secretOf(n), s, usual)
}

// A google is users' files for pam_google_authenticator, in their homes.
type google struct {
	w     *world
	codes *codes
}

// newGoogle writes the stack and makes the homes.
func newGoogle(w *world, users int) (*google, error) {
	g := &google{w: w}
	if err := service("bench-google", "pam_google_authenticator.so"); err != nil {
		return nil, err
	}
	for n := range users + specials {
		home := filepath.Join(w.homes, userName(n))
		if err := os.Mkdir(home, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if err := os.Chown(home, firstUID+n, firstUID+n); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// fresh writes the files anew, as they are after a login two steps ago: three codes are
// good and three tries within 30 seconds are let through.
func (g *google) fresh(users int) error {
	used := step() - 2
	g.codes = newCodes(used + 1)
	for n := range users {
		text := base32.StdEncoding.EncodeToString(secretOf(n)) + fmt.Sprintf(
			"\n\" RATE_LIMIT 3 30 %d\n\" WINDOW_SIZE 3\n\" DISALLOW_REUSE %d\n\" TOTP_AUTH\n", (used-1)*30, used)
		file := filepath.Join(g.w.homes, userName(n), ".google_authenticator")
		_ = os.Remove(file)
		if err := os.WriteFile(file, []byte(text), 0o400); err != nil {
			return err
		}
		if err := os.Chown(file, firstUID+n, firstUID+n); err != nil {
			return err
		}
	}
	return nil
}

// shot is the next login of user n.
func (g *google) shot(n int) (shot, error) {
	code, err := g.codes.next(n)
	return shot{service: "bench-google", user: userName(n), answer: code}, err
}

// An oath is one file for pam_oath with that many users, or a file for each.
type oath struct {
	service, file string
	users         int
	each          bool // a file of its own for each user
	codes         *codes
}

func newOath(w *world, name string, users int, each bool) (*oath, error) {
	o := &oath{service: "bench-" + name, file: filepath.Join(w.disk, name), users: users, each: each}
	path := o.file
	if each {
		path += "/${USER}"
		if err := os.Mkdir(o.file, 0o700); err != nil {
			return nil, err
		}
	}
	return o, service(o.service, "pam_oath.so usersfile="+path+" window=2 digits=6")
}

func (o *oath) line(n int) string {
	return "HOTP/T30/6 " + userName(n) + " - " + hex.EncodeToString(secretOf(n)) + "\n"
}

// fresh writes the file anew.
func (o *oath) fresh() error {
	o.codes = newCodes(step() - 1)
	var all strings.Builder
	for n := range o.users {
		if !o.each {
			all.WriteString(o.line(n))
			continue
		}
		if err := os.WriteFile(filepath.Join(o.file, userName(n)), []byte(o.line(n)), 0o600); err != nil {
			return err
		}
	}
	if o.each {
		return nil
	}
	return os.WriteFile(o.file, []byte(all.String()), 0o600)
}

func (o *oath) shot(n int) (shot, error) {
	code, err := o.codes.next(n)
	return shot{service: o.service, user: userName(n), answer: code}, err
}

// shot is the next login of user n in a service.
func (c *codes) shot(service string, n int) (shot, error) {
	code, err := c.next(n)
	return shot{service: service, user: userName(n), answer: code}, err
}
