package fleet

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
)

// period is how long an app of these people shows a code. It is short, so that one person
// can log in often.
const period = 2 * time.Second

// names are users that every Debian has.
var names = []string{
	"daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "www-data", "backup", "list", "irc", "nobody",
}

// A person has an app and backup codes. It may be used from many goroutines.
type person struct {
	name   string
	secret []byte
	backup []string

	mu     sync.Mutex // guards what follows
	step   int64      // that the app showed last
	unsure bool       // nobody knows what became of a code
}

// params are those of the apps.
var params = otp.Params{Digits: 6, Period: period, Algorithm: "SHA1"}

// at returns the code of a step.
func (p *person) at(step int64) string {
	code, err := otp.Code(p.secret, step, params)
	if err != nil {
		panic(err)
	}
	return code
}

// guess returns a code that no app shows for a while.
func (p *person) guess() string {
	right, now := "", otp.Step(time.Now(), period)
	for step := now - 60; step < now+120; step++ {
		right += " " + p.at(step)
	}
	for {
		if code := fmt.Sprintf("%06d", mathrand.IntN(1e6)); !strings.Contains(right, code) {
			return code
		}
	}
}

// codes is how many backup codes a person has.
const codes = 4

// A paper is a set of backup codes. Making one takes long.
type paper struct {
	codes []string
	set   mfa.BackupSet
}

// papers are the sets of everybody, made once.
var papers = sync.OnceValues(func() (all map[string]paper, err error) {
	all = map[string]paper{}
	for _, name := range names {
		var p paper
		if p.codes, p.set, err = factor.NewBackupSet(rand.Reader, codes); err != nil {
			return nil, err
		}
		p.set.Made = time.Now().Add(-time.Hour)
		all[name] = p
	}
	return all, nil
})

// settle enrolls everybody of names in the store of cfg, and makes its key in a file.
func settle(t testing.TB, cfg store.EtcdConfig, keyFile string) (all []*person) {
	t.Helper()
	ctx := t.Context()
	printed, err := papers()
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.Create(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s, err := etcd.Open(ctx, cfg, etcd.Options{Key: func(string) (*seal.Key, error) { return key, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := account.Records{S: s}
	for _, name := range names {
		id, err := nss.Lookup(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		p := &person{name: name, secret: otp.NewSecret("SHA1"), backup: printed[name].codes}
		set := printed[name].set
		en := mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: id.UID, Backup: &set, TOTP: &mfa.TOTPSecret{
			Secret: key.Seal(p.secret, id.Name, "totp.secret"), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(period), Confirmed: set.Made,
		}}
		if err := r.UpdateEnrollment(ctx, name, func(e *mfa.Enrollment) error { *e = en; return nil }); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}
