package main

import (
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/wire/wiretest"
)

// setups are people who set up a second factor at a login.
func setups() []scenario {
	return []scenario{
		{name: "enroll-app", settings: []string{"totp.skew = 10"}, prepare: nobody, run: enrollApp},
		{name: "enroll-email", prepare: nobody, run: enrollEmail},
		{name: "enroll-text", prepare: nobody, run: enrollText},
		{name: "enroll-token", settings: []string{"policy.methods = ['hotp', 'backup']"}, prepare: nobody, run: enrollToken},
	}
}

// nobody is a store in which nobody is enrolled.
func nobody(w *world) { w.settle() }

// kept returns what hears the backup codes, and promises that the last of them is good, once
// the enrollment is told of.
func (w *world) kept(o *owner, facts ...fact) func(string) {
	return func(text string) {
		if strings.Contains(text, "Press Enter when they are kept") {
			o.backup = backupLine.FindAllString(text, -1)
			w.promise(facts...)
			w.paper(o)
		}
	}
}

func enrollApp(w *world) {
	o := w.owner(games)
	w.start()
	w.enters(sshd(o), &wiretest.Person{Choose: "Authenticator app"}, mfa.NoConversation) // the connection drops
	w.promise(fact{What: unenrolled, User: o.name})
	w.rec.release(o.name, unenrolled)
	var at int64
	var first string
	w.entersHearing(sshd(o), &wiretest.Person{Choose: "Authenticator app", Code: func(prompt string) string {
		o.secret = inBase32(secretLine, prompt)
		first, at = o.shows()
		return first
	}}, mfa.Accepted, w.kept(o, fact{What: confirmed, User: o.name, Arg: "totp"}))
	w.promise(fact{What: step, User: o.name, N: at}, fact{What: audited, User: o.name, Arg: "enrollment.changed"})
	w.rec.spent(used{User: o.name, By: byApp, Code: first})
	code, at := o.shows()
	w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: step, User: o.name, N: at})
	w.rec.spent(used{User: o.name, By: byApp, Code: code})
	w.stop()
}

// inBase32 returns the secret that a pattern finds in a text.
func inBase32(pattern *regexp.Regexp, text string) []byte {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		panic(fmt.Errorf("no secret in %q", text))
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(m[1])
	must(err)
	return secret
}

func enrollEmail(w *world) {
	o := w.owner(man)
	w.start()
	var code string
	w.entersHearing(sshd(o), &wiretest.Person{Choose: "Codes by email", To: o.mail(), Code: func(string) string {
		code = w.mail(o.mail(), codeLine, 1)
		w.rec.promiseMail(fact{What: sends, User: o.name, N: 1})
		return code
	}}, mfa.Accepted, w.kept(o, fact{What: confirmed, User: o.name, Arg: "email"}))
	w.promise(fact{What: audited, User: o.name, Arg: "enrollment.changed"})
	w.rec.spent(used{User: o.name, Code: code})
	w.rec.release(o.name, sends)
	w.enters(visit{o.name, "sshd", place2}, &wiretest.Person{Code: func(string) string { return w.mail(o.mail(), codeLine, 2) }}, mfa.Accepted)
	w.stop()
}

func enrollText(w *world) {
	o := w.owner(lp)
	g := newGateway()
	defer g.close()
	w.settings = g.settings()
	w.rec.Settings = w.settings
	w.start()
	var code string
	w.entersHearing(sshd(o), &wiretest.Person{To: "+17891234567", Code: func(string) string {
		code = g.code(1, w)
		w.promise(fact{What: texts, User: o.name, N: 1})
		return code
	}}, mfa.Accepted, w.kept(o, fact{What: confirmed, User: o.name, Arg: "sms"}))
	w.rec.spent(used{User: o.name, Code: code})
	w.promise(fact{What: audited, User: o.name, Arg: "enrollment.changed"})
	w.stop()
}

func enrollToken(w *world) {
	o := w.owner(news)
	o.secret = otp.NewSecret("SHA1")
	w.start()
	code, at := o.presses()
	w.entersHearing(sshd(o), &wiretest.Person{
		To:   base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(o.secret),
		Code: wiretest.Typing(code),
	}, mfa.Accepted, w.kept(o, fact{What: confirmed, User: o.name, Arg: "hotp"}))
	w.promise(fact{What: token, User: o.name, N: at + 1})
	w.rec.spent(used{User: o.name, By: "token", Code: code})
	code, at = o.presses()
	w.enters(sshd(o), &wiretest.Person{Code: wiretest.Typing(code)}, mfa.Accepted)
	w.promise(fact{What: token, User: o.name, N: at + 1})
	w.rec.spent(used{User: o.name, By: "token", Code: code})
	w.stop()
}
