package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// number is where text messages of these tests go, and how it is shown.
const (
	number       = "+14155552671"
	maskedNumber = "+1*******71"
	byText       = "Code by text message to " + maskedNumber
	endOfCode    = `Code[^\n]*: $`
	phonePrompt  = `Phone number \(like \+17891234567\): $`
)

// byTwilio starts a Twilio of the test's own and returns the settings that have
// text messages go there. The replies are what it says first; then it takes every
// message.
func byTwilio(t testing.TB, replies ...delivertest.TwilioReply) ([]string, *delivertest.Twilio) {
	t.Helper()
	tw := delivertest.NewTwilio(t, delivertest.TwilioOptions{Open: true}, replies...)
	return to(t, tw), tw
}

// to returns the settings that have text messages go to tw.
func to(t testing.TB, tw *delivertest.Twilio) []string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	ok(t, os.WriteFile(token, []byte(tw.Password+"\n"), 0o600))
	return []string{
		`sms.provider = "twilio"`,
		"sms.twilio.account_sid = " + quoted(tw.AccountSID),
		"sms.twilio.auth_token_file = " + quoted(token),
		`sms.twilio.from = "+14155550100"`,
		"sms.twilio.base_url = " + quoted(tw.URL),
	}
}

// texting makes a site with text messages. Nothing runs yet.
func texting(t testing.TB, replies ...delivertest.TwilioReply) (*site, *delivertest.Twilio) {
	t.Helper()
	settings, tw := byTwilio(t, replies...)
	s := newSite(t)
	s.set(settings...)
	return s, tw
}

// run starts what a login needs.
func (s *site) run() {
	s.t.Helper()
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
}

// texted returns the code of the nth text message.
func texted(t testing.TB, tw *delivertest.Twilio, n int) string {
	t.Helper()
	var code string
	eventually(t, fmt.Sprintf("text message %d arrives", n), func() bool {
		texts := tw.Texts()
		if len(texts) < n {
			return false
		}
		code = regexp.MustCompile(`\b\d{6}\b`).FindString(texts[n-1].Body)
		return true
	})
	return code
}

// withPhone makes a user whose codes go to number.
func (s *site) withPhone(name string, flags ...string) account {
	s.t.Helper()
	a := newAccount(s.t, name)
	s.mustControl(append([]string{"enroll", a.name, "--phone", number}, flags...)...)
	return a
}

func TestTextMessageIn(t *testing.T) {
	s, tw := texting(t)
	s.set(`sms.autofill_domain = "login.example.com"`)
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	if said := c.expect(t, endOfCode); !strings.Contains(said, "A code was sent to "+maskedNumber) {
		t.Errorf("the prompt says %q", said)
	}
	code := texted(t, tw, 1)
	c.send(code)
	c.expectIn(t)

	text := tw.Texts()[0]
	if text.To != number || !strings.Contains(text.Body, hostName) ||
		!strings.HasSuffix(text.Body, "\n@login.example.com #"+code) || len(text.Body) > 160 {
		t.Errorf("sent %+v", text)
	}
	if view := s.mustControl("show", alice.name); !regexp.MustCompile(`phone confirmed: +20`).MatchString(view) {
		t.Errorf("a code typed back does not confirm the phone:\n%s", view)
	}
	if sent := s.events(alice, "challenge.sent"); len(sent) != 1 || sent[0]["receipt"] != text.SID {
		t.Errorf("the audit file does not have the message SID %s: %v", text.SID, sent)
	}
	for _, said := range []string{s.log.String(), s.auditText()} {
		if strings.Contains(said, code) || strings.Contains(said, number) {
			t.Errorf("the code or the number is in a log:\n%s", said)
		}
	}
}

func TestFirstLoginEnrollsAPhone(t *testing.T) {
	s, tw := texting(t)
	s.set(`policy.methods = ["sms"]`, `sms.regions = ["US", "GB"]`)
	s.run()
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	c.expect(t, phonePrompt)
	for _, wrong := range [][2]string{
		{"4155552671", "Begin the number with + and the country code"},
		{"+1-415-555-2671", "Leave out dashes, points and brackets"},
		{"+1(415)5552671", "Leave out dashes, points and brackets"},
		{"+1 415 555 26 71 99 9", "This number is too long"},
		{"+1415555", "too short"},
		{"+141555526711234567", "too long"},
		{"+1800FLOWERS", "no letters"},
		{"+99912345678", "No country has this country code"},
		{"0014155552671", "Write + in place of 00"},
		{"+19005551234", "Premium-rate numbers are not allowed"},
		{"+4915112345678", "Only numbers of US, GB are allowed here"},
		{"", "with + and the country code"},
	} {
		c.send(wrong[0])
		said := c.expect(t, phonePrompt)
		if !strings.Contains(unwrapped(said), wrong[1]) || !strings.Contains(said, "+17891234567") {
			t.Errorf("to %q it says %q, want %q", wrong[0], said, wrong[1])
		}
	}
	if n := tw.Requests(); n != 0 {
		t.Errorf("%d messages were sent to wrong numbers", n)
	}
	c.send(number)
	c.expect(t, endOfCode)
	c.send(texted(t, tw, 1))
	c.expectIn(t)

	c = s.begin(alice)
	c.expect(t, endOfCode)
	c.send(texted(t, tw, 2))
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

func TestTextFallsBackToEmail(t *testing.T) {
	s, _ := texting(t, delivertest.TwilioReply{Status: 400, Code: 21610, Message: "unsubscribed"})
	s.set(`policy.methods = ["sms"]`) // email is no method, and still known
	s.run()
	alice := newAccount(t, "alice")
	s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email)
	c := s.begin(alice)
	said := unwrapped(c.expect(t, endOfCode))
	for _, want := range []string{maskedNumber + " could not be sent", "STOP", "sent by email to a***"} {
		if !strings.Contains(said, want) {
			t.Errorf("the prompt says %q, want %q in it", said, want)
		}
	}
	c.send(s.code(alice, 1))
	c.expectIn(t)
	if view := s.mustControl("show", alice.name); !strings.Contains(view, "phone confirmed:    not yet") ||
		!regexp.MustCompile(`\nconfirmed: +20`).MatchString(view) {
		t.Errorf("the address that got the code is confirmed, and the phone is not:\n%s", view)
	}
	if got := len(s.events(alice, "challenge.fell_back")); got != 1 {
		t.Errorf("%d times fell back in the audit file", got)
	}
	s.expectFailures(alice, 0)
}

func TestFellBackWhileThePersonTypes(t *testing.T) {
	// Twilio says nothing for longer than the first prompt waits.
	s, _ := texting(t, delivertest.TwilioReply{Then: delivertest.TwilioSlow},
		delivertest.TwilioReply{Status: 400, Code: 21614, Message: "no mobile"})
	s.set(`sms.twilio.timeout = "2s"`)
	s.run()
	alice := newAccount(t, "alice")
	s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email)
	s.set(`policy.methods = ["sms"]`)
	s.reload()
	c := s.begin(alice)
	c.expect(t, endOfCode)
	code := s.code(alice, 1) // comes when the text is given up
	c.send(wrong(code))
	if said := unwrapped(c.expect(t, `not right[^\0]*Code[^\n]*: $`)); !strings.Contains(said, "sent by email to a***") {
		t.Errorf("the next prompt does not tell: %q", said)
	}
	c.send(code)
	c.expectIn(t)
}

// appAndPhone makes a site on a clock of ours and a user with an authenticator
// app, whose number an administrator has entered.
func appAndPhone(t *testing.T, settings []string, flags ...string) (*site, account, phone, *clock) {
	t.Helper()
	s, clock := inProcess(t, settings...)
	alice := newAccount(t, "alice")
	app, _ := s.enrollByApp(alice, clock)
	s.mustControl(append([]string{"enroll", alice.name, "--phone", number}, flags...)...)
	return s, alice, app, clock
}

// insteadOfText chooses a text message, which cannot be sent, and then the app.
// It returns what is said in between.
func (s *site) insteadOfText(a account, app phone, clock *clock) string {
	s.t.Helper()
	c := s.begin(a)
	c.expect(s.t, codeOrMenu)
	c.send("m")
	c.pick(s.t, byText, "")
	said := c.pick(s.t, byApp, "")
	c.expect(s.t, codeOrMenu)
	c.send(app.code(s.t, clock.step(app.period)))
	c.expectIn(s.t)
	s.expectFailures(a, 0)
	return unwrapped(said)
}

func TestTextAndEmailFailWithAnotherMethod(t *testing.T) {
	settings, _ := byTwilio(t, delivertest.TwilioReply{Status: 400, Code: 21211, Message: "invalid"})
	settings = append(settings, `email.transport = "sendmail"`, `email.sendmail.path = "/bin/false"`)
	s, alice, app, clock := appAndPhone(t, settings, "--email", "alice@example.com")
	said := s.insteadOfText(alice, app, clock)
	if !strings.Contains(said, "The code could not be sent to "+maskedNumber) || !strings.Contains(said, "not a valid phone number") {
		t.Errorf("it says %q", said)
	}
}

func TestTextFailsAndNothingElseIsThere(t *testing.T) {
	s, _ := texting(t, delivertest.TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"})
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	if said := unwrapped(c.expectOut(t)); !strings.Contains(said, "The code could not be sent to "+maskedNumber) {
		t.Errorf("it says %q", said)
	}
	s.expectFailures(alice, 0)
	awaitText(t, s.log, 0, `20003[^\n]*sms\.twilio\.account_sid`)
}

func TestTextThatDidNotArriveIsTold(t *testing.T) {
	tw := delivertest.NewTwilio(t, delivertest.TwilioOptions{
		Open: true, Fates: []delivertest.TwilioFate{{Status: "undelivered", Code: 30005}},
	})
	s := newSite(t)
	s.set(to(t, tw)...)
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	c.expect(t, endOfCode)
	eventually(t, "the audit file says that the text did not arrive", func() bool {
		return len(s.events(alice, "challenge.undelivered")) == 1
	})
	ev := s.events(alice, "challenge.undelivered")[0]
	if ev["receipt"] != tw.Texts()[0].SID || ev["to"] != maskedNumber || !strings.Contains(fmt.Sprint(ev["reason"]), "30005") {
		t.Errorf("it says %v", ev)
	}
	awaitText(t, s.log, 0, "text message did not arrive")
}

func TestSendTestByText(t *testing.T) {
	s, tw := texting(t, delivertest.TwilioReply{}, delivertest.TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"})
	s.set("sms.per_number_per_day = 2")
	s.startDaemon()
	said := s.mustControl("send-test", "sms", number)
	sid := tw.Texts()[0].SID
	for _, want := range []string{"connect ", "login ", "basic, as A", "request ", "status     201 Created", "accepted   " + sid} {
		if !strings.Contains(said, want) {
			t.Errorf("the report lacks %q:\n%s", want, said)
		}
	}
	said, code := s.control("send-test", "sms", number)
	if code != 1 || !strings.Contains(said, "20003") || !strings.Contains(said, "check sms.twilio.account_sid") {
		t.Errorf("exit %d:\n%s", code, said)
	}
	if said, code = s.control("send-test", "sms", number); code != 1 || !strings.Contains(said, "sms.per_number_per_day") {
		t.Errorf("a limit does not hold for tests: exit %d:\n%s", code, said)
	}
	if n := tw.Requests(); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// knock is a login from an address by somebody who has the password, up to the
// first prompt that wants a code; no ssh is needed to flood. It returns what was
// said until then.
func (s *site) knock(user, address string) (said string, err error) {
	conn, err := net.Dial("unix", s.path("run/pam.sock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	err = wire.Write(conn, wiretest.Hello(mfa.Request{
		Service: "sshd", User: user, RHost: address, SSHAuthInfo: "password", SSHConnection: address + " 40000 192.0.2.1 22",
	}))
	for err == nil {
		var f wire.Frame
		if f, err = wire.Read(conn); err != nil {
			break
		}
		var p mfa.Prompt
		if p, err = wire.DecodePrompt(f); err != nil {
			return said, nil // the verdict
		}
		said += p.Text
		if p.Kind == mfa.Ask || p.Kind == mfa.AskHidden {
			return said, nil
		}
	}
	return said, err
}

// TestFloodSendsNoMoreThanTheLimits has one attacker who knows the passwords of
// twenty users begin 10,000 logins, each from another address.
func TestFloodSendsNoMoreThanTheLimits(t *testing.T) {
	const attempts, users = 10_000, 20
	s, tw := texting(t)
	s.set("code.max_sends = 100", "sms.per_user_per_day = 3", "sms.per_hour = 25",
		"sms.per_number_per_day = 0", "sms.per_prefix_per_hour = 0", `log.level = "error"`)
	s.startDaemon()
	names := make([]string, users)
	for i := range names {
		a := newAccount(t, fmt.Sprintf("user%02d", i))
		s.mustControl("enroll", a.name, "--phone", fmt.Sprintf("+1415555%04d", 2600+i))
		names[i] = a.name
	}
	const crowd = 50
	together(t, crowd, func(i int) error {
		for n := i; n < attempts; n += crowd {
			if _, err := s.knock(names[n%users], fmt.Sprintf("203.0.%d.%d", 1+n/250, 1+n%250)); err != nil {
				return err
			}
		}
		return nil
	})
	ok(t, s.stopDaemon()) // and nothing is on its way any more
	each := map[string]int{}
	for _, text := range tw.Texts() {
		each[text.To]++
	}
	if got := len(tw.Texts()); got != 25 || tw.Requests() != 25 {
		t.Errorf("%d messages and %d requests came of %d attempts, want 25", got, tw.Requests(), attempts)
	}
	for to, n := range each {
		if n > 3 {
			t.Errorf("%d messages to %s, want at most 3", n, to)
		}
	}
}

func TestEveryLimitOnTextsHolds(t *testing.T) {
	for limit, who := range map[string]struct{ users, numbers []string }{
		"per_user_per_day":    {[]string{"ann", "ann"}, []string{number, number}},
		"per_number_per_day":  {[]string{"ann", "bob"}, []string{number, number}},
		"per_prefix_per_hour": {[]string{"ann", "bob"}, []string{"+14155552671", "+14155552672"}},
		"per_hour":            {[]string{"ann", "bob"}, []string{"+14155552671", "+12125552671"}},
	} {
		t.Run(limit, func(t *testing.T) {
			s, tw := texting(t)
			s.set("sms.per_user_per_day = 0", "sms.per_number_per_day = 0", "sms.per_prefix_per_hour = 0", "sms.per_hour = 0")
			s.set("sms." + limit + " = 1")
			s.startDaemon()
			accounts := map[string]account{}
			for i, name := range who.users {
				if _, made := accounts[name]; made {
					continue
				}
				a := newAccount(t, name)
				accounts[name] = a
				s.mustControl("enroll", a.name, "--phone", who.numbers[i])
			}
			first, err := s.knock(accounts[who.users[0]].name, "203.0.113.1")
			ok(t, err)
			if !strings.Contains(first, "A code was sent to") {
				t.Fatalf("the first is told %q", first)
			}
			second, err := s.knock(accounts[who.users[1]].name, "203.0.113.2")
			ok(t, err)
			if !strings.Contains(unwrapped(second), "No more text messages can be sent for now") {
				t.Errorf("the second is told %q", second)
			}
			s.restartDaemon()
			if third, err := s.knock(accounts[who.users[1]].name, "203.0.113.3"); err != nil || !strings.Contains(unwrapped(third), "No more text messages") {
				t.Errorf("after a restart: %q, %v", third, err)
			}
			ok(t, s.stopDaemon())
			if n := len(tw.Texts()); n != 1 {
				t.Errorf("%d messages, want 1", n)
			}
			awaitSaid(t, s.log, 0, "sms."+limit)
		})
	}
}

func TestLimitReachedOffersOtherMethods(t *testing.T) {
	settings, tw := byTwilio(t)
	s, alice, app, clock := appAndPhone(t, append(settings, "sms.per_user_per_day = 1"))
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byText, "")
	c.expect(t, codeOrMenu)
	c.send(texted(t, tw, 1))
	c.expectIn(t)

	if said := s.insteadOfText(alice, app, clock); !strings.Contains(said, "No more text messages can be sent for now") {
		t.Errorf("it says %q", said)
	}
	if n := len(tw.Texts()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// gateway is a server that keeps the body of a request in a file. It returns its
// address.
func gateway(t testing.TB, file string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = errors.Join(os.WriteFile(file+".new", body, 0o600), os.Rename(file+".new", file))
		}
		if err != nil {
			t.Error(err)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestTextsByAnyGatewayAndAnyProgram(t *testing.T) {
	for name, settings := range map[string][]string{
		"http":    {`sms.provider = "http"`, `sms.http.body = '{"to": {{json .To}}, "text": {{json .Text}}}'`, `sms.http.headers = {"Content-Type" = "application/json"}`},
		"command": {`sms.provider = "command"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			got := s.path("got")
			s.set(settings...)
			if name == "http" {
				s.set("sms.http.url = " + quoted(gateway(t, got)))
			} else {
				script := s.path("send-text")
				ok(t, os.WriteFile(script, []byte("#!/bin/sh\n{ echo \"$1\"; cat; } >"+got+".new && mv "+got+".new "+got+"\n"), 0o755))
				s.set("sms.command.path = " + quoted(script))
			}
			s.run()
			alice := s.withPhone("alice")
			c := s.begin(alice)
			c.expect(t, endOfCode)
			var text []byte
			eventually(t, "the text arrives", func() bool {
				var err error
				text, err = os.ReadFile(got)
				return !errors.Is(err, os.ErrNotExist)
			})
			if !strings.Contains(string(text), number) {
				t.Errorf("sent %q", text)
			}
			c.send(regexp.MustCompile(`\b\d{6}\b`).FindString(string(text)))
			c.expectIn(t)
		})
	}
}

func TestConfirmationByTextIsSentAgain(t *testing.T) {
	s, tw := texting(t)
	s.startDaemon()
	alice := s.withPhone("alice")
	s.mustControl("confirm", "resend", alice.name)
	if texts := tw.Texts(); len(texts) != 1 || texts[0].To != number || !strings.Contains(texts[0].Body, "Typing the first one confirms it") || len(texts[0].Body) > 160 {
		t.Errorf("sent %+v", texts)
	}
	if said := s.mustControl("users", "--unconfirmed", "--reveal"); !strings.Contains(said, number) {
		t.Errorf("users says\n%s", said)
	}
	if said, code := s.control("confirm", "resend", alice.name); code != 1 || len(tw.Texts()) != 1 {
		t.Errorf("at once again: exit %d, %d texts, %s", code, len(tw.Texts()), said)
	}
}
