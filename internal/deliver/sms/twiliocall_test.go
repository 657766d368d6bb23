package sms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// ring is a call with a code, as an Asker writes it.
func ring(code, language string) mfa.Message {
	voice, _ := deliver.VoiceOf(language)
	return deliver.CodeNotice{Code: code, Host: "web1", To: "+14155552671"}.Call("id1", voice)
}

// callTable is a Twilio that calls in a language.
func callTable(t *testing.T, language string, replies ...delivertest.TwilioReply) (*SMS, *delivertest.Twilio) {
	t.Helper()
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, replies...)
	return newSMS(t, twilioTable(t, srv), Options{Language: language}), srv
}

// A call says the code digit by digit, twice, in the language that is set.
func TestCallSaysTheCode(t *testing.T) {
	for language, want := range map[string]struct {
		spoken string
		before []string
	}{
		"":      {"en-US", []string{"Hello. Your login code for web1 is"}},
		"en-gb": {"en-GB", []string{"Hello. Your login code for web1 is"}},
		"de":    {"de-DE", []string{"Guten Tag. Ihr Anmeldecode für web1 lautet"}},
		"ja":    {"ja-JP", []string{"こんにちは。web1のログインコードは次のとおりです"}},
		"pt-BR": {"pt-BR", nil},
		"de-AT": {"de-DE", []string{"Guten Tag. Ihr Anmeldecode für web1 lautet"}},
		"tr":    {"tr-TR", nil},
	} {
		s, srv := callTable(t, language, delivertest.TwilioReply{})
		var receipt string
		if err := s.Send(deliver.WithReceipt(t.Context(), &receipt), ring("012345", language)); err != nil {
			t.Fatal(err)
		}
		call := srv.Calls()[0]
		texts, languages := call.Said()
		if wanted := append(want.before, "0, 1, 2, 3, 4, 5.", "0, 1, 2, 3, 4, 5."); !slices.Equal(texts, wanted) {
			t.Errorf("%q: says %q", language, texts)
		}
		if i := slices.IndexFunc(languages, func(l string) bool { return l != want.spoken }); i >= 0 {
			t.Errorf("%q: in %q, want %s", language, languages, want.spoken)
		}
		if call.To != "+14155552671" || call.From != "+15005550006" || receipt != call.SID || call.Timeout != "25" || call.TimeLimit != "90" {
			t.Errorf("%+v, receipt %q", call, receipt)
		}
		if strings.Contains(call.TwiML, "012345") {
			t.Errorf("%q: the code is read as a number: %s", language, call.TwiML)
		}
	}
	if v, _ := deliver.VoiceOf("tr"); !strings.Contains(twiml(v, ring("1", "tr")), `<Say voice="Polly.Filiz" language="tr-TR">`) {
		t.Error("Turkish has no voice of its own")
	}
}

// No name of a machine gets out of its text.
func TestCallEscapes(t *testing.T) {
	voice, _ := deliver.VoiceOf("")
	m := deliver.CodeNotice{Code: "123456", Host: `</Say><Hangup/><Say a="b">&amp;`, To: "+14155552671"}.Call("id1", voice)
	s, srv := callTable(t, "", delivertest.TwilioReply{})
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if texts, _ := srv.Calls()[0].Said(); len(texts) != 3 || !strings.Contains(texts[0], `</Say><Hangup/>`) {
		t.Errorf("says %q", texts)
	}
}

// Twilio's word against a call is told by who can mend it, and without the code, however
// Twilio spells that.
func TestCallRefused(t *testing.T) {
	for code, who := range map[int]string{21211: "number", 21215: "config number", 21210: "config", 21216: "number", 20003: "config", 20429: "later", 12100: "config"} {
		s, _ := callTable(t, "", delivertest.TwilioReply{Status: 400, Code: code, Message: "no 123456 1, 2, 3, 4, 5, 6 to +14155552671"})
		err := s.Send(t.Context(), ring("123456", ""))
		if err == nil || !slices.Equal(strings.Fields(blameOf(err)), strings.Fields(who)) {
			t.Errorf("%d: %v by %q, want %q", code, err, blameOf(err), who)
			continue
		}
		for _, private := range []string{"123456", "1, 2, 3", "4155552671"} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("%d: %q is in %v", code, private, err)
			}
		}
	}
}

// blameOf lists who can mend an error, in the order of the alphabet.
func blameOf(err error) string {
	var who []string
	if errors.Is(err, deliver.ErrConfig) {
		who = append(who, "config")
	}
	if errors.Is(err, deliver.ErrNumber) {
		who = append(who, "number")
	}
	if !errors.Is(err, deliver.ErrPermanent) {
		who = append(who, "later")
	}
	return strings.Join(who, " ")
}

// The fate of a call is asked at the Call resource: a phone that nobody picks up got no
// code.
func TestCallFate(t *testing.T) {
	for status, lost := range map[string]string{
		"completed": "", "busy": "busy", "no-answer": "nobody answered", "failed": "cannot be reached", "canceled": "canceled",
	} {
		srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{Fates: []delivertest.TwilioFate{{Status: "ringing"}, {Status: status}}}, delivertest.TwilioReply{})
		s := newSMS(t, twilioTable(t, srv), Options{})
		var receipt string
		m := ring("123456", "")
		if err := s.Send(deliver.WithReceipt(t.Context(), &receipt), m); err != nil {
			t.Fatal(err)
		}
		way := s.way.(*twilio)
		if f, err := way.fate(t.Context(), m, receipt); err != nil || f.over {
			t.Errorf("ringing: %+v, %v", f, err)
		}
		f, err := way.fate(t.Context(), m, receipt)
		if err != nil || !f.over || (f.failed == nil) != (lost == "") || lost != "" && !strings.Contains(f.failed.Error(), lost) {
			t.Errorf("%s: %+v, %v", status, f, err)
		}
	}
}

// Every step of a call is seen.
func TestStepsOfACall(t *testing.T) {
	s, srv := callTable(t, "", delivertest.TwilioReply{})
	steps, err := carrier.Test(t.Context(), s, ring("000000", ""))
	if err != nil {
		t.Error(err)
	}
	delivertest.WantSteps(t, steps, `connect 127\.0\.0\.1:\d+`, `tls none: .*`, `login basic, as A\*\*\*0`, `request POST .*`, "status 201 Created", "accepted "+srv.Calls()[0].SID)
}

// Only Twilio calls, and from a number.
func TestNobodyToCall(t *testing.T) {
	s := newSMS(t, httpTable(jsonGateway("https://gateway.example.com/{{.Text}}")), Options{})
	delivertest.WantPermanent(t, s.Send(t.Context(), ring("123456", "")), `carries "call"`)
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{Open: true})
	cfg := twilioTable(t, srv)
	cfg.Twilio.From, cfg.Twilio.CallFrom = "MyFirm", ""
	delivertest.WantPermanent(t, newSMS(t, cfg, Options{}).Send(t.Context(), ring("123456", "")), "sms.twilio.call_from is empty")
	cfg.Twilio.CallFrom = "+15005550007"
	if err := newSMS(t, cfg, Options{}).Send(t.Context(), ring("123456", "")); err != nil || srv.Calls()[0].From != "+15005550007" {
		t.Errorf("%v, %+v", err, srv.Calls())
	}
}

// By WhatsApp the code stands in a template, and nothing else can be sent.
func TestWhatsApp(t *testing.T) {
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, delivertest.TwilioReply{},
		delivertest.TwilioReply{Status: 400, Code: 63016, Message: "outside the window"},
		delivertest.TwilioReply{Status: 400, Code: 63003, Message: "no such channel"})
	cfg := twilioTable(t, srv)
	cfg.Twilio.From, cfg.Twilio.ContentSID = "whatsapp:+15005550006", "HX1"
	s := newSMS(t, cfg, Options{})
	m := mfa.Message{ID: "id1", Carrier: mfa.SMS, To: "+14155552671", Text: "123456 is your code", Code: "123456"}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := delivertest.Text{SID: srv.Texts()[0].SID, To: "whatsapp:+14155552671", From: "whatsapp:+15005550006", ContentSID: "HX1", ContentVariables: `{"1":"123456"}`}
	if got := srv.Texts()[0]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := s.Send(t.Context(), m); blameOf(err) != "config" || !strings.Contains(err.Error(), "sms.twilio.content_sid") {
		t.Errorf("%v", err)
	}
	if err := s.Send(t.Context(), m); blameOf(err) != "number" || !strings.Contains(deliver.NumberReason(err).String(), "WhatsApp") {
		t.Errorf("%v, %q", err, deliver.NumberReason(err))
	}
	m.Code = ""
	delivertest.WantPermanent(t, s.Send(t.Context(), m), "only codes can be sent")
}

func TestCheckCallsAndWhatsApp(t *testing.T) {
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{})
	good := twilioTable(t, srv)
	for want, tc := range map[string]struct {
		language string
		change   func(*deliver.SMSConfig)
	}{
		"": {"pt-BR", func(*deliver.SMSConfig) {}},
		"policy.methods: \"call\" needs sms.provider = \"twilio\"": {"", func(c *deliver.SMSConfig) { c.Provider = deliver.ProviderHTTP }},
		"prompt.language: \"tlh\" is not spoken":                   {"tlh", func(*deliver.SMSConfig) {}},
		"sms.twilio.call_from: is empty":                           {"", func(c *deliver.SMSConfig) { c.Twilio.From = "MyFirm" }},
		"sms.twilio.call_from: is empty, and": {"", func(c *deliver.SMSConfig) {
			c.Twilio.From, c.Twilio.MessagingServiceSID = "", "MG1"
		}},
		"sms.twilio.call_from: \"MyFirm\" is not a number":            {"", func(c *deliver.SMSConfig) { c.Twilio.CallFrom = "MyFirm" }},
		"sms.twilio.from: \"whatsapp:4155\" is not a WhatsApp sender": {"", func(c *deliver.SMSConfig) { c.Twilio.From = "whatsapp:4155" }},
		"sms.twilio.content_sid: is empty":                            {"", func(c *deliver.SMSConfig) { c.Twilio.From = "whatsapp:+14155550100" }},
		"sms.twilio.content_sid: is set":                              {"", func(c *deliver.SMSConfig) { c.Twilio.ContentSID = "HX1" }},
		"sms.twilio.content_sid: \"MG1\" is not an identifier that begins with HX": {"", func(c *deliver.SMSConfig) {
			c.Twilio.From, c.Twilio.ContentSID = "whatsapp:+14155550100", "MG1"
		}},
	} {
		cfg := good
		tc.change(&cfg)
		err := deliver.CheckSMS(cfg)
		if err == nil {
			err = deliver.CheckCalls(cfg, tc.language, "policy.methods")
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The message is cleared of its code before the fate of a call is asked.
func TestWatchForgetsTheCode(t *testing.T) {
	asked := make(chan mfa.Message, 1)
	w := newWatch(tellerFunc(func(m mfa.Message) { asked <- m }), func(mfa.Message, string, error) {}, nil)
	w.times = []time.Duration{time.Millisecond}
	w.add(ring("123456", ""), "CA1")
	if m := <-asked; m.Code != "" || m.Text != "" || m.Carrier != mfa.Call {
		t.Errorf("%+v", m)
	}
	w.close()
}

type tellerFunc func(mfa.Message)

func (f tellerFunc) fate(_ context.Context, m mfa.Message, _ string) (fate, error) {
	f(m)
	return fate{over: true}, nil
}
