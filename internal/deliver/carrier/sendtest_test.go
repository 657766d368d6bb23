package carrier_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// A recorder counts what is sent over it, and what is paid.
type recorder struct {
	paid []string // whom for
	full error
	sent []mfa.Message
}

func (d *recorder) Reserve(_ context.Context, user, _ string, _ bool) error {
	d.paid = append(d.paid, user)
	return d.full
}

func (d *recorder) Send(_ context.Context, m mfa.Message) error {
	d.sent = append(d.sent, m)
	return nil
}

func (*recorder) Close() error { return nil }

// A text message is paid for before it is sent, for no account that there is; an email costs
// nothing.
func TestSendTest(t *testing.T) {
	for name, tc := range map[string]struct {
		method     mfa.Method
		none       bool // carries text messages
		full       error
		paid, sent int
		want       string
	}{
		"email":      {mfa.Email, false, nil, 0, 1, ""},
		"text":       {mfa.SMS, false, nil, 1, 1, ""},
		"call":       {mfa.Call, false, nil, 1, 1, ""},
		"no more":    {mfa.Call, false, errors.New("limit reached"), 1, 0, "limit reached"},
		"none left":  {mfa.SMS, false, errors.New("limit reached"), 1, 0, "limit reached"},
		"no carrier": {mfa.SMS, true, nil, 0, 0, "sms.provider is empty"},
	} {
		d, other := &recorder{full: tc.full}, &recorder{full: errors.New("another ledger was asked")}
		ledgers := carrier.Ledgers{Texts: d, Calls: other}
		if tc.method == mfa.Call {
			ledgers = carrier.Ledgers{Texts: other, Calls: d}
		}
		c := deliver.Carriers{Email: d, SMS: d}
		if tc.none {
			c.SMS = nil
		}
		letter := func(_ string, n deliver.CodeNotice) mfa.Message {
			return mfa.Message{Carrier: mfa.Email, To: n.To, Text: n.User + n.Code}
		}
		_, err := carrier.SendTest(t.Context(), c, ledgers, tc.method, "to", letter)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if len(d.paid) != tc.paid || len(d.sent) != tc.sent {
			t.Errorf("%s: paid %q, sent %+v", name, d.paid, d.sent)
		}
		if tc.paid > 0 && !strings.Contains(d.paid[0], " ") {
			t.Errorf("%s: paid for %q, which may be an account", name, d.paid[0])
		}
		if tc.sent > 0 && (d.sent[0].Carrier != tc.method || d.sent[0].To != "to" || !strings.Contains(d.sent[0].Text, "test message")) {
			t.Errorf("%s: sent %+v", name, d.sent[0])
		}
	}
}
