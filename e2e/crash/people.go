package main

import (
	"context"
	"encoding/base32"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"mfa/internal/account"
	"mfa/internal/config"
	ondisk "mfa/internal/config/disk"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"

	crand "crypto/rand"
)

// Users that every Debian has.
const (
	games = "games"
	man   = "man"
	news  = "news"
	lp    = "lp"
)

// Places that logins come from.
const (
	place1 = "203.0.113.7"
	place2 = "198.51.100.9"
)

// Entries of menus.
const (
	byBackup = "Backup code"
	byEmail  = "Code by email"
	byApp    = "Code from your"
)

// period is how long an app shows a code.
const period = 30 * time.Second

// An owner is a user with what they hold.
type owner struct {
	name   string
	secret []byte
	step   int64    // of the next code that the app shows
	backup []string // codes on paper
	count  int64    // of the next code that the token shows
}

// owner returns the user of a name.
func (w *world) owner(name string) *owner {
	if w.owners == nil {
		w.owners = map[string]*owner{}
	}
	if w.owners[name] == nil {
		w.owners[name] = &owner{name: name}
	}
	return w.owners[name]
}

// mail is the address of a user.
func (o *owner) mail() string { return o.name + "@example.com" }

// shows returns the next code of the app, and its step. Steps of a while ago are good, as
// the clocks of apps are off; on a slow machine the code before may be of long ago.
func (o *owner) shows() (code string, at int64) {
	o.step = max(o.step+1, otp.Step(time.Now(), period)-7)
	code, err := otp.Code(o.secret, o.step, otp.Params{Digits: 6, Period: period, Algorithm: "SHA1"})
	must(err)
	return code, o.step
}

// presses returns the next code of the token, and its count.
func (o *owner) presses() (code string, at int64) {
	code, err := otp.Code(o.secret, o.count, otp.Params{Digits: 6, Period: period, Algorithm: "SHA1"})
	must(err)
	o.count++
	return code, o.count - 1
}

// wrong returns a code that is another one.
func wrong(code string) string { return string('0'+(code[0]-'0'+1)%10) + code[1:] }

// settle writes the records of people into a new store.
func (w *world) settle(all ...func(r account.Records, key *seal.Key) error) {
	cfg := config.Default()
	cfg.Store.Path, cfg.Secrets.KeyFile = w.path("disk/store"), w.path("disk/key")
	must(os.MkdirAll(w.path("disk"), 0o700))
	var key *seal.Key
	s, err := local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		var err error
		key, err = ondisk.OpenKey(cfg, known, slog.New(slog.DiscardHandler))
		return key, err
	})
	must(err)
	must(store.CheckFormat(context.Background(), s))
	must(account.NoteKey(context.Background(), s, key))
	for _, one := range all {
		must(one(account.Records{S: s}, key))
	}
	must(s.Close())
}

// has enrolls a user with some methods and backup codes.
func (o *owner) has(methods ...mfa.Method) func(r account.Records, key *seal.Key) error {
	return func(r account.Records, key *seal.Key) error {
		id, err := nss.Lookup(context.Background(), o.name)
		if err != nil {
			return err
		}
		var set mfa.BackupSet
		if o.backup, set, err = factor.NewBackupSet(crand.Reader, 5); err != nil {
			return err
		}
		now := time.Now().Add(-time.Hour)
		set.Made = now
		en := mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: id.UID, Backup: &set}
		o.secret = otp.NewSecret("SHA1")
		if slices.Contains(methods, mfa.Email) {
			en.Email = &mfa.Address{Address: o.mail(), Confirmed: now}
		}
		if slices.Contains(methods, mfa.SMS) {
			en.SMS = &mfa.Address{Address: "+17891234567", Confirmed: now}
		}
		if slices.Contains(methods, mfa.TOTP) {
			en.TOTP = &mfa.TOTPSecret{
				Secret: key.Seal(o.secret, id.Name, "totp.secret"), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(period), Confirmed: now,
			}
		}
		if slices.Contains(methods, mfa.HOTP) {
			en.HOTP = &mfa.HOTPSecret{Secret: key.Seal(o.secret, id.Name, "hotp.secret"), Algorithm: "SHA1", Digits: 6, Confirmed: now}
		}
		return r.UpdateEnrollment(context.Background(), o.name, func(e *mfa.Enrollment) error { *e = en; return nil })
	}
}

// paper promises that the last of a user's codes on paper is good.
func (w *world) paper(o *owner) {
	if w.rec != nil {
		w.rec.promise(fact{What: fresh, User: o.name, Arg: o.backup[len(o.backup)-1]})
	}
}

// tokens writes a list with a token of a user, as its maker hands it out.
func (w *world) tokens(o *owner, serial, userID string) string {
	o.secret = otp.NewSecret("SHA1")
	path := w.path("tokens.xml")
	text := fmt.Sprintf(`<?xml version="1.0"?><KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
<KeyPackage><DeviceInfo><Manufacturer>oath.Example</Manufacturer><SerialNo>%s</SerialNo></DeviceInfo>
<Key Id="%[1]s" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>
<Data><Secret><PlainValue>%s</PlainValue></Secret><Counter><PlainValue>0</PlainValue></Counter></Data>%s</Key></KeyPackage></KeyContainer>`,
		serial, inBase64(o.secret), userID)
	must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// google writes a file of google-authenticator, named after its user.
func (w *world) google(o *owner) string {
	o.secret = otp.NewSecret("SHA1")
	path := filepath.Join(w.dir, o.name)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(o.secret) +
		"\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n12345678\n87654321\n"
	must(os.WriteFile(path, []byte(text), 0o600))
	return path
}
