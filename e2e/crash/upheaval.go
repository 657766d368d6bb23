package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/wire/wiretest"
)

func inBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// administration is what administrators do.
func administration() []scenario {
	return []scenario{
		{name: "admin", settings: []string{"totp.skew = 10"}, prepare: func(w *world) { w.settle(w.owner(games).has(mfa.TOTP)) }, run: administer},
		{name: "import", settings: []string{"policy.methods = ['totp', 'email', 'hotp', 'backup']"}, prepare: nobody, run: importAll},
		{name: "shelf", settings: []string{"policy.methods = ['hotp', 'backup']"}, prepare: nobody, run: takeFromShelf},
		{name: "rotate", settings: []string{"totp.skew = 10"}, prepare: func(w *world) {
			w.settle(w.owner(games).has(mfa.TOTP), w.owner(news).has(mfa.HOTP), w.owner(man).has(mfa.Email))
		}, run: rotateKey},
		{name: "restore", prepare: saved, run: restore},
	}
}

func administer(w *world) {
	o, m := w.owner(games), w.owner(man)
	w.start()
	w.paper(o)
	w.does("enroll", m.name, "--email", m.mail())
	w.promise(fact{What: enrolled, User: m.name, Arg: "email"}, fact{What: audited, User: m.name, Arg: "enrollment.changed"})
	w.does("enroll", m.name, "--totp")
	w.promise(fact{What: enrolled, User: m.name, Arg: "totp"})
	w.does("lock", o.name)
	w.promise(fact{What: locked, User: o.name}, fact{What: audited, User: o.name, Arg: "lockout.locked"})
	w.enters(sshd(o), &wiretest.Person{}, mfa.Exhausted)
	w.rec.release(o.name, locked)
	w.does("unlock", o.name)
	w.promise(fact{What: audited, User: o.name, Arg: "lockout.unlocked"})
	code, at := o.shows()
	w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: step, User: o.name, N: at})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.rec.release(m.name, enrolled)
	w.does("reset", m.name, "--yes")
	w.promise(fact{What: unenrolled, User: m.name}, fact{What: epoch, User: m.name, N: 1}, fact{What: audited, User: m.name, Arg: "enrollment.reset"})
	w.rec.release(o.name, step, fresh)
	w.does("reset", o.name, "--yes")
	w.promise(fact{What: unenrolled, User: o.name}, fact{What: audited, User: o.name, Arg: "enrollment.reset"})
	w.stop()
}

func importAll(w *world) {
	o, m, n := w.owner(games), w.owner(man), w.owner(news)
	google, tokens := w.google(o), w.tokens(n, "87654321", "<UserId>UID="+n.name+"</UserId>")
	csv := w.path("people.csv")
	must(os.WriteFile(csv, []byte("user,email\n"+m.name+","+m.mail()+"\nlp,lp@example.com\n"), 0o600))
	w.start()
	w.does("import", "google-authenticator", google, "--yes")
	w.promise(fact{What: enrolled, User: o.name, Arg: "totp"}, fact{What: audited, User: o.name, Arg: "enrollment.changed"})
	w.does("import", "csv", csv, "--yes")
	w.promise(fact{What: enrolled, User: m.name, Arg: "email"}, fact{What: enrolled, User: "lp", Arg: "email"})
	w.does("import", "pskc", tokens, "--yes")
	w.promise(fact{What: enrolled, User: n.name, Arg: "hotp"})
	code, at := n.presses()
	w.enters(sshd(n), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: token, User: n.name, N: at + 1})
	w.rec.spent(used{User: n.name, By: "token", Code: code})
	w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing("12345678")}, mfa.Accepted)
	w.promise(fact{What: backups, User: o.name, N: 1})
	w.rec.spent(used{User: o.name, By: byBackup, Code: "12345678"})
	w.stop()
}

// takeFromShelf brings in a token of nobody's, and then gives it to its user.
func takeFromShelf(w *world) {
	const serial = "87654321"
	n := w.owner(news)
	tokens := w.tokens(n, serial, "")
	w.start()
	w.does("import", "pskc", tokens, "--yes")
	w.promise(fact{What: kept, User: n.name, Arg: serial})
	w.does("enroll", n.name, "--hotp", "--serial", serial)
	w.promise(fact{What: enrolled, User: n.name, Arg: "hotp"}, fact{What: audited, User: n.name, Arg: "enrollment.changed"})
	code, at := n.presses()
	w.enters(sshd(n), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: token, User: n.name, N: at + 1})
	w.rec.spent(used{User: n.name, By: "token", Code: code})
	w.rec.release(n.name, enrolled, kept, token)
	w.does("reset", n.name, "--yes")
	w.promise(fact{What: unenrolled, User: n.name}, fact{What: audited, User: n.name, Arg: "enrollment.reset"})
	w.stop()
}

// rotateKey changes the key, and has the next start forget the former one.
func rotateKey(w *world) {
	o := w.owner(games)
	w.start()
	for _, all := range []*owner{o, w.owner(news), w.owner(man)} {
		w.paper(all)
	}
	code, at := o.shows()
	w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: step, User: o.name, N: at})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.does("key", "rotate", "--yes")
	code, at = o.shows()
	w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: step, User: o.name, N: at})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.stop()
	then := time.Now().Add(-7 * 24 * time.Hour) // recovery codes are good for a day
	must(os.Chtimes(w.path("disk/key"), then, then))
	w.start()
	for late := time.Now().Add(patience); w.formerKeys() > 0; time.Sleep(time.Millisecond) {
		if w.alive(); time.Now().After(late) {
			_ = unix.Kill(w.pid, unix.SIGQUIT) // it says where it hangs
			w.end()
			panic(fmt.Errorf("the former key is never forgotten\n%s", w.log()))
		}
	}
	w.stop()
}

// formerKeys returns how many former keys the file holds.
func (w *world) formerKeys() int {
	text, err := os.ReadFile(w.path("disk/key"))
	must(err)
	return strings.Count(string(text), "\n") - 1
}

// saved makes a backup of some users, and the empty store of another machine.
func saved(w *world) {
	o := w.owner(games)
	w.settle(o.has(mfa.TOTP), w.owner(news).has(mfa.HOTP), w.owner(man).has(mfa.Email))
	w.start()
	w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(o.backup[0])}, mfa.Accepted)
	w.does("backup", w.path("mfa.age"), "--passphrase-file", w.passphrase())
	w.stop()
	must(os.RemoveAll(w.path("disk")))
	w.settle()
}

func restore(w *world) {
	o := w.owner(games)
	w.start()
	w.does("restore", w.path("mfa.age"), "--passphrase-file", w.path("passphrase"), "--yes")
	for _, all := range []*owner{o, w.owner(news), w.owner(man)} {
		w.paper(all)
	}
	w.promise(fact{What: enrolled, User: o.name, Arg: "totp"}, fact{What: enrolled, User: news, Arg: "hotp"},
		fact{What: enrolled, User: man, Arg: "email"}, fact{What: backups, User: o.name, N: 1})
	w.rec.spent(used{User: o.name, By: byBackup, Code: o.backup[0]})
	w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(o.backup[1])}, mfa.Accepted)
	w.promise(fact{What: backups, User: o.name, N: 2})
	w.rec.spent(used{User: o.name, By: byBackup, Code: o.backup[1]})
	w.stop()
}

// upheavals are starts over what other builds and other days left, and a log that is full.
func upheavals() []scenario {
	used := func(w *world) {
		o := w.owner(games)
		w.settle(o.has(mfa.TOTP))
		w.start()
		w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(o.backup[0])}, mfa.Accepted)
		w.stop()
	}
	return []scenario{
		{name: "first", prepare: func(w *world) { must(os.MkdirAll(w.path("disk"), 0o700)) }, run: firstStart},
		{name: "untagged", prepare: func(w *world) { used(w); w.untag() }, run: nextStart},
		{name: "logless", prepare: func(w *world) { used(w); w.loseLog() }, run: nextStart},
		{name: "killed", prepare: func(w *world) {
			used(w)
			w.start()
			w.enters(sshd(w.owner(games)), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(w.owner(games).backup[1])}, mfa.Accepted)
			w.kill()
		}, run: nextStart},
		{name: "new-state", prepare: used, run: newState},
		{name: "fold", settings: []string{"lockout.failures = 100"}, prepare: func(w *world) {
			var all []func(r account.Records, key *seal.Key) error
			for _, name := range folk {
				all = append(all, w.owner(name).has(mfa.TOTP))
			}
			w.settle(all...)
		}, run: fillTheLog, share: 30},
		{name: "crowd", settings: []string{"totp.skew = 10"}, prepare: func(w *world) {
			var all []func(r account.Records, key *seal.Key) error
			for _, name := range folk[:8] {
				all = append(all, w.owner(name).has(mfa.TOTP))
			}
			w.settle(all...)
		}, run: crowd, share: 2},
	}
}

// firstStart begins with nothing.
func firstStart(w *world) {
	m := w.owner(man)
	w.start()
	w.does("enroll", m.name, "--email", m.mail(), "--no-message")
	w.promise(fact{What: enrolled, User: m.name, Arg: "email"})
	w.stop()
}

// nextStart begins with what is there, in which a code on paper was used.
func nextStart(w *world) {
	o := w.owner(games)
	w.promise(fact{What: backups, User: o.name, N: 1})
	w.paper(o)
	w.rec.spent(used{User: o.name, By: byBackup, Code: o.backup[0]})
	w.start()
	w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(o.backup[2])}, mfa.Accepted)
	w.promise(fact{What: backups, User: o.name, N: 2})
	w.rec.spent(used{User: o.name, By: byBackup, Code: o.backup[2]})
	w.stop()
}

// newState has an administrator begin the state anew.
func newState(w *world) {
	o := w.owner(games)
	w.rec.spent(used{User: o.name, By: byBackup, Code: o.backup[0]})
	config, err := w.config()
	must(err)
	w.run("", "--config", config, "--new-state")
	if e := w.end(); e.err != nil || e.status.Signaled() {
		panic(errors.Join(errGone, e.err))
	}
	w.start()
	w.stop()
}

// folk are users enough to fill a log.
var folk = []string{games, man, news, lp, "daemon", "bin", "sys", "mail", "uucp", "proxy", "www-data", "backup", "list", "irc"}

// fillTheLog counts wrong codes until the log is folded.
func fillTheLog(w *world) {
	w.start()
	for round := range 14 {
		for _, name := range folk {
			o := w.owner(name)
			if round == 0 {
				w.paper(o)
			}
			code, _ := o.shows()
			o.step-- // the same again: nobody gets in
			n := int64(round) * 3
			w.entersHearing(visit{name, "sshd", place2}, &wiretest.Person{Code: wiretest.Typing(wrong(code), wrong(code), wrong(code))}, mfa.Exhausted, func(text string) {
				if strings.Contains(text, "not right") {
					n++
					w.promise(fact{What: failures, User: name, N: n})
				}
			})
			w.promise(fact{What: failures, User: name, N: int64(round)*3 + 3})
		}
	}
	w.stop()
}

// crowd is many logins at once, which are written in batches.
func crowd(w *world) {
	w.start()
	var errs [8]error
	var logins sync.WaitGroup
	for n, name := range folk[:8] {
		o := w.owner(name)
		w.paper(o)
		logins.Go(func() {
			for range 3 {
				code, at := o.shows()
				outcome, err := w.login(sshd(o), &wiretest.Person{Code: wiretest.Typing(wrong(code), code)}, nil)
				if err == nil && outcome != mfa.Accepted {
					err = fmt.Errorf("login of %s: %v", o.name, outcome)
				}
				if errs[n] = err; err != nil {
					return
				}
				w.promise(fact{What: step, User: o.name, N: at})
				w.rec.spent(used{User: o.name, By: byApp, Code: code})
			}
		})
	}
	logins.Wait()
	must(errors.Join(errs[:]...))
	w.stop()
}

// untag makes of the database one of the build before records had tags.
func (w *world) untag() {
	w.loseLog()
	db, err := bolt.Open(w.path("disk/store/state.db"), 0o600, nil)
	must(err)
	must(db.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"state", "meta"} {
			b := tx.Bucket([]byte(name))
			all := map[string][]byte{}
			err := b.ForEach(func(k, v []byte) error {
				if name == "meta" && string(k) == "format" {
					all[string(k)] = append(append([]byte{}, v[:8]...), '1')
				} else {
					all[string(k)] = append(append([]byte{}, v[:8]...), v[8+seal.TagSize:]...)
				}
				return nil
			})
			for k, v := range all {
				err = errors.Join(err, b.Put([]byte(k), v))
			}
			if err != nil {
				return fmt.Errorf("take the tags out: %w", err)
			}
		}
		return tx.DeleteBucket([]byte("sum"))
	}))
	must(db.Close())
}

// loseLog makes of a folder one of a build that knew of no log.
func (w *world) loseLog() {
	logs, err := filepath.Glob(w.path("disk/store/*.log"))
	must(err)
	for _, name := range logs {
		must(os.Remove(name))
	}
}

// alive ends a scenario whose daemon ended.
func (w *world) alive() {
	select {
	case e := <-w.done:
		w.done <- e
		panic(errGone)
	default:
	}
}
