package main

import (
	"fmt"
	"os"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/wire/wiretest"
)

// A scenario is what some people do with a daemon. Prepare makes the folder as it is
// before; what run does is looked at.
type scenario struct {
	name     string
	settings []string
	prepare  func(w *world)
	run      func(w *world)
	share    int // of the points one of so many is looked at; 0: all
}

// scenarios are all there are.
func scenarios() []scenario {
	return slicesOf(logins(), setups(), administration(), upheavals())
}

func slicesOf(lists ...[]scenario) (all []scenario) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// enters goes through a login that must end so.
func (w *world) enters(v visit, p *wiretest.Person, want mfa.Outcome) {
	w.entersHearing(v, p, want, nil)
}

// entersHearing is enters with heard of login.
func (w *world) entersHearing(v visit, p *wiretest.Person, want mfa.Outcome, heard func(string)) {
	got, err := w.login(v, p, heard)
	must(err)
	if got != want {
		panic(fmt.Errorf("login of %s by %s: %v, want %v\n%s", v.user, v.service, got, want, w.log()))
	}
}

// does runs mfactl, which must do what it is told.
func (w *world) does(args ...string) string {
	out, err := w.mfactl(args...)
	if err != nil && strings.Contains(err.Error(), "exit status 5") {
		panic(errGone)
	}
	must(err)
	return out
}

// promise notes what the daemon has promised with what it said last.
func (w *world) promise(facts ...fact) { w.rec.promise(facts...) }

// logins are what people do at a login.
func logins() []scenario {
	return []scenario{
		{name: "app", settings: []string{"totp.skew = 10"}, prepare: func(w *world) { w.settle(w.owner(games).has(mfa.TOTP, mfa.Email)) }, run: loginByApp},
		{name: "backup", prepare: func(w *world) { w.settle(w.owner(games).has(mfa.TOTP)) }, run: loginByBackup},
		{name: "email", settings: []string{"code.resend_after = '0s'"}, prepare: func(w *world) { w.settle(w.owner(man).has(mfa.Email)) }, run: loginByEmail},
		{name: "text", prepare: func(w *world) { w.settle(w.owner(lp).has(mfa.SMS)) }, run: loginByText},
		{name: "token", settings: []string{"policy.methods = ['hotp', 'backup']"}, prepare: func(w *world) { w.settle(w.owner(news).has(mfa.HOTP)) }, run: loginByToken},
		{name: "lock", settings: []string{"lockout.failures = 3", "totp.skew = 10"}, prepare: func(w *world) { w.settle(w.owner(man).has(mfa.Email, mfa.TOTP)) }, run: lockAndRecover},
		{
			name: "remember", settings: []string{"session.remember = 'ask'", "totp.skew = 10"},
			prepare: func(w *world) { w.settle(w.owner(games).has(mfa.TOTP)) }, run: rememberAndRevoke,
		},
	}
}

// sshd is a login by ssh.
func sshd(o *owner) visit { return visit{o.name, "sshd", place1} }

func loginByApp(w *world) {
	o := w.owner(games)
	w.start()
	w.paper(o)
	for n := range 3 {
		code, at := o.shows()
		w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
		w.promise(fact{What: step, User: o.name, N: at}, fact{What: audited, User: o.name, Arg: "login"})
		w.rec.spent(used{User: o.name, By: byApp, Code: code})
		if n == 0 {
			w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code, code, code)}, mfa.NoConversation)
		}
	}
	code, at := o.shows()
	bad := wrong(code)
	counted := int64(0)
	w.entersHearing(sshd(o), &wiretest.Person{Code: wiretest.Typing(bad, bad, code)}, mfa.Accepted, func(text string) {
		if strings.Contains(text, "not right") {
			counted++
			w.promise(fact{What: failures, User: o.name, N: counted})
			if counted == 2 {
				w.rec.release(o.name, failures) // the next code is right, and clears them
			}
		}
	})
	w.promise(fact{What: step, User: o.name, N: at})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.stop()
}

func loginByBackup(w *world) {
	o := w.owner(games)
	w.start()
	w.paper(o)
	for n, code := range o.backup[:3] {
		w.enters(sshd(o), &wiretest.Person{Choose: byBackup, Code: wiretest.Typing(code)}, mfa.Accepted)
		w.promise(fact{What: backups, User: o.name, N: int64(n) + 1}, fact{What: audited, User: o.name, Arg: "login"})
		w.rec.spent(used{User: o.name, By: byBackup, Code: code})
	}
	w.stop()
}

func loginByEmail(w *world) {
	o := w.owner(man)
	w.start()
	w.paper(o)
	n, sent := 0, int64(0)
	next := func() string {
		n++
		code := w.mail(o.mail(), codeLine, n)
		sent++
		w.rec.promiseMail(fact{What: sends, User: o.name, N: sent})
		return code
	}
	var code string
	w.enters(sshd(o), &wiretest.Person{Code: func(string) string {
		code = next()
		return code
	}}, mfa.Accepted)
	w.promise(fact{What: codes, User: o.name, N: 1})
	w.rec.spent(used{User: o.name, Code: code})
	asked, counted := 0, int64(0)
	w.rec.release(o.name, sends) // from where they were seen codes count apart
	sent = 0
	w.entersHearing(sshd(o), &wiretest.Person{Code: func(string) string {
		asked++
		switch asked {
		case 1:
			return wrong(next())
		case 2:
			return "r"
		}
		code = next()
		w.rec.release(o.name, failures)
		return code
	}}, mfa.Accepted, func(text string) {
		if strings.Contains(text, "not right") {
			counted++
			w.promise(fact{What: failures, User: o.name, N: counted})
		}
	})
	w.rec.spent(used{User: o.name, Code: code})
	w.promise(fact{What: codes, User: o.name, N: 2}, fact{What: audited, User: o.name, Arg: "login"})
	w.stop()
}

func loginByText(w *world) {
	o := w.owner(lp)
	g := newGateway()
	defer g.close()
	w.settings = g.settings()
	w.rec.Settings = w.settings
	w.start()
	w.paper(o)
	for n := range 3 {
		var code string
		w.enters(sshd(o), &wiretest.Person{Code: func(string) string {
			code = g.code(n+1, w)
			w.promise(fact{What: texts, User: o.name, N: int64(n) + 1})
			return code
		}}, mfa.Accepted)
		w.rec.spent(used{User: o.name, Code: code})
		w.promise(fact{What: codes, User: o.name, N: int64(n) + 1})
	}
	w.stop()
}

func loginByToken(w *world) {
	o := w.owner(news)
	w.start()
	w.paper(o)
	for n := range 3 {
		if n == 2 {
			o.presses() // in a pocket
		}
		code, at := o.presses()
		w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
		w.promise(fact{What: token, User: o.name, N: at + 1}, fact{What: audited, User: o.name, Arg: "login"})
		w.rec.spent(used{User: o.name, By: "token", Code: code})
	}
	w.stop()
}

func lockAndRecover(w *world) {
	o := w.owner(man)
	w.start()
	w.paper(o)
	code, _ := o.shows()
	counted := int64(0)
	w.entersHearing(visit{o.name, "sshd", place1}, &wiretest.Person{Choose: byApp, Code: wiretest.Typing(wrong(code), wrong(code), wrong(code))}, mfa.Exhausted, func(text string) {
		if strings.Contains(text, "not right") {
			counted++
			w.promise(fact{What: failures, User: o.name, N: counted})
		}
	})
	w.promise(fact{What: locked, User: o.name}, fact{What: audited, User: o.name, Arg: "lockout.locked"})
	recovery := w.mail(o.mail(), recoveryLine, 1)
	w.rec.promiseMail(fact{What: locked, User: o.name})
	code, at := o.shows()
	w.entersHearing(sshd(o), &wiretest.Person{Choose: byApp, Code: func(prompt string) string {
		if strings.Contains(prompt, "Recovery code:") {
			w.rec.release(o.name, locked, failures)
			return recovery
		}
		return code
	}}, mfa.Accepted, func(text string) {
		if strings.Contains(text, "(m = other method)") {
			w.promise(fact{What: recovered, User: o.name})
		}
	})
	w.promise(fact{What: step, User: o.name, N: at}, fact{What: recovered, User: o.name})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.stop()
}

func rememberAndRevoke(w *world) {
	o := w.owner(games)
	w.start()
	w.paper(o)
	code, _ := o.shows()
	w.enters(visit{o.name, "sshd", place2}, &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: remembered, User: o.name})
	w.enters(visit{o.name, "sshd", place2}, &wiretest.Person{}, mfa.Accepted)
	w.rec.release(o.name, remembered)
	w.does("sessions", "revoke", o.name)
	w.promise(fact{What: revoked, User: o.name}, fact{What: audited, User: o.name, Arg: "session.revoked"})
	w.enters(visit{o.name, "sshd", place2}, &wiretest.Person{}, mfa.NoConversation)
	code, _ = o.shows()
	w.rec.release(o.name, revoked)
	w.enters(visit{o.name, "sshd", place2}, &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: remembered, User: o.name})
	w.rec.release(o.name, remembered)
	w.does("enroll", o.name, "--email", o.mail(), "--no-message")
	w.promise(fact{What: revoked, User: o.name}, fact{What: enrolled, User: o.name, Arg: "email"})
	w.stop()
}

// passphrase writes the passphrase of backups and returns its path.
func (w *world) passphrase() string {
	path := w.path("passphrase")
	must(os.WriteFile(path, []byte("correct horse battery staple\n"), 0o600))
	return path
}
