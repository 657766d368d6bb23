package sms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// An oracle answers from a list and notes when it was asked.
type oracle struct {
	began time.Time

	mu      sync.Mutex // guards what follows
	answers []answerOfOracle
	asked   []time.Duration
}

type answerOfOracle struct {
	fate fate
	err  error
}

func (o *oracle) fate(context.Context, mfa.Message, string) (fate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, time.Since(o.began))
	if len(o.answers) == 0 {
		return fate{}, nil
	}
	a := o.answers[0]
	o.answers = o.answers[1:]
	return a.fate, a.err
}

func TestWatchAsksUntilItIsOver(t *testing.T) {
	onItsWay, busy := answerOfOracle{}, answerOfOracle{err: errors.New("429")}
	lost := answerOfOracle{fate: fate{over: true, failed: errors.New("lost")}}
	all := []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
	for name, c := range map[string]struct {
		answers []answerOfOracle
		asked   []time.Duration
		told    int
	}{
		"delivered at once": {[]answerOfOracle{{fate: fate{over: true}}}, all[:1], 0},
		"lost late":         {[]answerOfOracle{onItsWay, busy, lost}, all[:3], 1},
		"never over":        {nil, all, 0},
		"may not be asked":  {[]answerOfOracle{{err: deliver.Permanent(errors.New("401"))}}, all[:1], 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &oracle{began: time.Now(), answers: c.answers}
				told := 0
				var log strings.Builder
				w := newWatch(o, func(m mfa.Message, receipt string, err error) {
					told++
					if m.ID != "id1" || m.Text != "" || receipt != "SM1" || err.Error() != "lost" {
						t.Errorf("told of %+v, %q: %v", m, receipt, err)
					}
				}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
				w.add(sms("123456"), "SM1")
				time.Sleep(time.Hour)
				w.close()
				if !slices.Equal(o.asked, c.asked) || told != c.told {
					t.Errorf("asked at %v, want %v; told %d times, want %d", o.asked, c.asked, told, c.told)
				}
				if lines := strings.Count(log.String(), "\n"); (lines == 1) != (name == "may not be asked") || strings.Contains(log.String(), "123456") {
					t.Errorf("log is %q", log.String())
				}
			})
		})
	}
}

// A message that needs no more asking makes room.
func TestWatchGivesItsSlotsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{began: time.Now()}
		w := newWatch(o, func(mfa.Message, string, error) { t.Error("told") }, slog.New(slog.DiscardHandler))
		w.times = []time.Duration{time.Second}
		for range 2 * maxWatched {
			w.add(sms("123456"), "SM1")
			time.Sleep(2 * time.Second)
		}
		w.close()
		if len(o.asked) != 2*maxWatched {
			t.Errorf("asked after %d messages, want %d", len(o.asked), 2*maxWatched)
		}
	})
}

// A namedGateway takes every message by the same name.
type namedGateway string

func (g namedGateway) text(context.Context, mfa.Message) (string, error) { return string(g), nil }

func (namedGateway) close() {}

func TestSMSCloseEndsTheAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{began: time.Now()}
		s := &SMS{way: namedGateway("SM1"), watch: newWatch(o, nil, slog.New(slog.DiscardHandler))}
		if err := s.Send(t.Context(), sms("123456")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(o.asked) != 0 {
			t.Errorf("asked at %v after Close", o.asked)
		}
	})
}

func TestWatchIsBoundedAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{began: time.Now()}
		w := newWatch(o, func(mfa.Message, string, error) { t.Error("told") }, slog.New(slog.DiscardHandler))
		for range maxWatched + 10 {
			w.add(sms("123456"), "SM1")
		}
		time.Sleep(6 * time.Second)
		w.close()
		if len(o.asked) != maxWatched {
			t.Errorf("asked after %d messages, want %d", len(o.asked), maxWatched)
		}
		if took := time.Since(o.began); took != 6*time.Second {
			t.Errorf("close waited until %v", took)
		}
	})
}

// undelivered is one call of Options.Undelivered.
type undelivered struct {
	m       mfa.Message
	receipt string
	err     error
}

// watched returns an SMS over a Twilio with these fates that asks at once, and
// what it says of messages that did not arrive.
func watched(t *testing.T, fates ...delivertest.TwilioFate) (*SMS, *delivertest.Twilio, chan undelivered) {
	t.Helper()
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{Fates: fates}, delivertest.TwilioReply{})
	calls := make(chan undelivered, 10)
	s := newSMS(t, twilioTable(t, srv), Options{
		Undelivered: func(m mfa.Message, receipt string, err error) { calls <- undelivered{m, receipt, err} },
	})
	s.watch.times = []time.Duration{1, 2, 3, 4}
	return s, srv, calls
}

func TestTwilioUndelivered(t *testing.T) {
	for _, c := range []struct {
		fate        delivertest.TwilioFate
		blame, says string
	}{
		{delivertest.TwilioFate{Status: "undelivered", Code: 30006}, "number", "twilio: error 30006: the message is undelivered"},
		{delivertest.TwilioFate{Status: "failed", Code: 30007}, "config", "error 30007: the message is failed (carriers filter this text"},
		{delivertest.TwilioFate{Status: "undelivered", Code: 30008}, "later", "30008"},
		{delivertest.TwilioFate{Status: "failed"}, "later", "twilio: the message is failed"},
		{delivertest.TwilioFate{Status: "canceled"}, "later", "twilio: the message is canceled"},
	} {
		t.Run(fmt.Sprint(c.fate.Status, c.fate.Code), func(t *testing.T) {
			busy := delivertest.TwilioFate{Refusal: &delivertest.TwilioReply{Status: 503, Body: "busy"}}
			s, srv, calls := watched(t, delivertest.TwilioFate{Status: "queued"}, busy, c.fate)
			if err := s.Send(t.Context(), sms("123456")); err != nil {
				t.Fatal(err)
			}
			call := <-calls
			if got := blame(call.err); got != c.blame {
				t.Errorf("it is for %q to mend, want %q: %v", got, c.blame, call.err)
			}
			delivertest.WantSays(t, call.err, c.says)
			sid := srv.Texts()[0].SID
			if call.receipt != sid || call.m.ID != "id1" || call.m.To != sms("").To || call.m.Text != "" {
				t.Errorf("told of %q %+v", call.receipt, call.m)
			}
			srv.Finish()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if got := srv.Asked(); len(calls) != 0 || !slices.Equal(got, []string{sid, sid, sid}) {
				t.Errorf("told %d times more, asked after %q", len(calls), got)
			}
		})
	}
}

// Answers that end the asking without a word to anybody.
func TestTwilioNothingToTell(t *testing.T) {
	for name, f := range map[string]delivertest.TwilioFate{
		"delivered": {Status: "delivered"}, "read": {Status: "read"},
		"gone":    {Refusal: &delivertest.TwilioReply{Status: 404, Code: 20404, Message: "not found"}},
		"no more": {Refusal: &delivertest.TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, srv, calls := watched(t, delivertest.TwilioFate{Status: "sent"}, f)
			if err := s.Send(t.Context(), sms("123456")); err != nil {
				t.Fatal(err)
			}
			s.watch.asking.Wait()
			if len(srv.Asked()) != 2 || len(calls) != 0 {
				t.Errorf("asked %d times, told %d", len(srv.Asked()), len(calls))
			}
		})
	}
}

// Nobody asks for it, or the gateway cannot tell: nobody is asked.
func TestNoWatch(t *testing.T) {
	s, _ := twilioReplies(t)
	command := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderCommand, Command: deliver.SMSCommandConfig{
		Path: "/bin/true", Timeout: mfa.Duration(time.Second),
	}}, Options{Undelivered: func(mfa.Message, string, error) {}})
	if s.watch != nil || command.watch != nil {
		t.Error("somebody is asked")
	}
}

func TestTwilioAsksAfterNoOddName(t *testing.T) {
	s, srv := twilioReplies(t)
	_, err := s.way.(*twilio).fate(t.Context(), sms("1"), "../../Accounts")
	delivertest.WantPermanent(t, err, "is no message SID")
	if len(srv.Asked()) != 0 {
		t.Error("asked all the same")
	}
}
