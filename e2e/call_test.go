package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mfa/internal/deliver/delivertest"
)

const byCall = "Code by phone call to " + maskedNumber

// calling makes a site on which people are called. Nothing runs yet.
func calling(t *testing.T, opts delivertest.TwilioOptions, replies ...delivertest.TwilioReply) (*site, *delivertest.Twilio) {
	t.Helper()
	opts.Open = true
	tw := delivertest.NewTwilio(t, opts, replies...)
	s := newSite(t)
	s.set(to(t, tw)...)
	s.set(`policy.methods = ["call"]`)
	return s, tw
}

// heard returns the code that the nth call reads out, as somebody writes it down.
func heard(t testing.TB, tw *delivertest.Twilio, n int) string {
	t.Helper()
	eventually(t, fmt.Sprintf("call %d is made", n), func() bool { return len(tw.Calls()) >= n })
	texts, _ := tw.Calls()[n-1].Said()
	if len(texts) < 2 || texts[len(texts)-1] != texts[len(texts)-2] || !regexp.MustCompile(`^\d(, \d){5}\.$`).MatchString(texts[len(texts)-1]) {
		t.Fatalf("call %d says %q", n, texts)
	}
	return regexp.MustCompile(`\D`).ReplaceAllString(texts[len(texts)-1], "")
}

func TestCallIn(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{})
	s.set(`prompt.language = "de"`)
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	if said := unwrapped(c.expect(t, endOfCode)); !strings.Contains(said, maskedNumber+" wird angerufen: Eine Stimme liest den Code zweimal vor.") {
		t.Errorf("the prompt says %q", said)
	}
	code := heard(t, tw, 1)
	c.send(wrong(code))
	c.expect(t, `nicht richtig[^\0]*`+endOfCode)
	c.send(code)
	c.expectIn(t)
	if _, languages := tw.Calls()[0].Said(); slices.ContainsFunc(languages, func(l string) bool { return l != "de-DE" }) {
		t.Errorf("it is said in %q", languages)
	}
	if view := s.mustControl("show", alice.name); !regexp.MustCompile(`phone confirmed: +20`).MatchString(view) {
		t.Errorf("a code typed back does not confirm the phone:\n%s", view)
	}
	if sent := s.events(alice, "challenge.sent"); len(sent) != 1 || sent[0]["receipt"] != tw.Calls()[0].SID || sent[0]["method"] != "call" {
		t.Errorf("the audit file does not have the call: %v", sent)
	}
	spelled := strings.Join(strings.Split(code, ""), ", ")
	for _, said := range []string{s.log.String(), s.auditText()} {
		if strings.Contains(said, code) || strings.Contains(said, spelled) || strings.Contains(said, number) {
			t.Errorf("the code or the number is in a log:\n%s", said)
		}
	}
	if len(tw.Texts()) != 0 {
		t.Error("a text was sent, too")
	}
}

// Both go to one number; nobody is called before they chose that.
func TestCallIsChosen(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{})
	s.set(`policy.methods = ["sms", "call"]`)
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	c.expect(t, choicePrompt)
	if tw.Requests() != 0 {
		t.Fatal("something was sent before anything was chosen")
	}
	c.send("1")
	c.expect(t, codeOrMenu)
	text := texted(t, tw, 1)
	c.send("m")
	c.pick(t, byCall, "")
	c.expect(t, codeOrMenu)
	code := heard(t, tw, 1)
	if code != text {
		c.send(text)
		c.expect(t, `another login, or to another address[^\0]*`+codeOrMenu)
	}
	c.send(code)
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

// A landline is confirmed by a call, and called first from then on.
func TestFirstLoginEnrollsALandline(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{}, delivertest.TwilioReply{})
	s.set(`policy.methods = ["sms", "call"]`)
	s.run()
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	c.pick(t, "Codes by phone call, for landlines too", "")
	c.expect(t, phonePrompt)
	c.send("4155552671")
	c.expect(t, `Begin the number with \+[^\0]*`+phonePrompt)
	c.send(number)
	c.expect(t, endOfCode)
	c.send(heard(t, tw, 1))
	c.expectIn(t)

	c = s.begin(alice)
	c.expect(t, codeOrMenu) // the call, without a menu before it
	c.send(heard(t, tw, 2))
	c.expectIn(t)
	if len(tw.Texts()) != 0 {
		t.Error("a landline was sent a text")
	}
}

// A phone that nobody picks up is told of, and the code goes by email where that is known.
func TestCallThatDoesNotGetThrough(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{Fates: []delivertest.TwilioFate{{Status: "busy"}}})
	s.run()
	alice := newAccount(t, "alice")
	s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email, "--no-message")
	c := s.begin(alice)
	c.expect(t, endOfCode)
	heard(t, tw, 1)
	code := s.code(alice, 1)
	c.send(wrong(code))
	if said := unwrapped(c.expect(t, `not right[^\0]*`+endOfCode)); !strings.Contains(said, "The call to "+maskedNumber+" did not get through.") ||
		!strings.Contains(said, "sent by email to a***") {
		t.Errorf("it says %q", said)
	}
	c.send(code)
	c.expectIn(t)
	awaitText(t, s.log, 0, "call did not arrive[^\n]*busy")
}

// Calls have limits of their own, which hold across restarts, and leave texts alone.
func TestEveryLimitOnCallsHolds(t *testing.T) {
	for limit, who := range map[string]struct{ users, numbers []string }{
		"per_user_per_day":    {[]string{"ann", "ann"}, []string{number, number}},
		"per_number_per_day":  {[]string{"ann", "bob"}, []string{number, number}},
		"per_prefix_per_hour": {[]string{"ann", "bob"}, []string{"+14155552671", "+14155552672"}},
		"per_hour":            {[]string{"ann", "bob"}, []string{"+14155552671", "+12125552671"}},
	} {
		t.Run(limit, func(t *testing.T) {
			s, tw := calling(t, delivertest.TwilioOptions{})
			for _, key := range []string{"per_user_per_day", "per_number_per_day", "per_prefix_per_hour", "per_hour"} {
				s.set("sms.call."+key+" = 0", "sms."+key+" = 0")
			}
			s.set("sms.call." + limit + " = 1")
			s.startDaemon()
			names := map[string]string{}
			for i, name := range who.users {
				if names[name] == "" {
					names[name] = newAccount(t, name).name
				}
				s.mustControl("enroll", names[name], "--phone", who.numbers[i])
			}
			first, err := s.knock(names[who.users[0]], "203.0.113.1")
			ok(t, err)
			expectSaid(t, unwrapped(first), "is being called")
			second, err := s.knock(names[who.users[1]], "203.0.113.2")
			ok(t, err)
			expectSaid(t, unwrapped(second), "No more calls can be made for now. The next can be made in")
			s.restartDaemon()
			third, err := s.knock(names[who.users[1]], "203.0.113.3")
			ok(t, err)
			expectSaid(t, unwrapped(third), "No more calls can be made for now.")
			s.set(`policy.methods = ["sms"]`)
			s.reload()
			fourth, err := s.knock(names[who.users[1]], "203.0.113.4")
			ok(t, err)
			expectSaid(t, unwrapped(fourth), "A code was sent to")
			ok(t, s.stopDaemon())
			if calls, texts := len(tw.Calls()), len(tw.Texts()); calls != 1 || texts != 1 {
				t.Errorf("%d calls and %d texts, want one each", calls, texts)
			}
			awaitSaid(t, s.log, 0, "sms.call."+limit)
		})
	}
}

func TestSendTestByCall(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{})
	s.set("sms.call.per_number_per_day = 1", "sms.per_number_per_day = 1")
	s.startDaemon()
	expectSaid(t, s.mustControl("send-test", "call", number), "status     201 Created", "accepted   CA")
	if code := heard(t, tw, 1); code != "000000" {
		t.Errorf("it reads %q", code)
	}
	if said, code := s.control("send-test", "call", number); code != 1 || !strings.Contains(said, "sms.call.per_number_per_day") {
		t.Errorf("a limit does not hold for tests: exit %d:\n%s", code, said)
	}
	s.mustControl("send-test", "sms", number)
}

// By WhatsApp the code comes in the template of the administrator.
func TestWhatsAppIn(t *testing.T) {
	s, tw := texting(t)
	s.set(`policy.methods = ["sms"]`, `sms.twilio.from = "whatsapp:+14155550100"`, `sms.twilio.content_sid = "HX1"`)
	s.run()
	alice := s.withPhone("alice")
	c := s.begin(alice)
	c.expect(t, endOfCode)
	eventually(t, "the message arrives", func() bool { return len(tw.Texts()) == 1 })
	text := tw.Texts()[0]
	if text.To != "whatsapp:"+number || text.From != "whatsapp:+14155550100" || text.ContentSID != "HX1" || text.Body != "" {
		t.Errorf("sent %+v", text)
	}
	code := regexp.MustCompile(`^\{"1":"(\d{6})"\}$`).FindStringSubmatch(text.ContentVariables)
	if code == nil {
		t.Fatalf("the variables are %s", text.ContentVariables)
	}
	c.send(code[1])
	c.expectIn(t)
	expectSaid(t, s.mustControl("send-test", "sms", number), "201 Created")
	if got := tw.Texts()[1].ContentVariables; got != `{"1":"000000"}` {
		t.Errorf("the test sends %s", got)
	}
}
