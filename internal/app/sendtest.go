package app

import (
	"context"
	"crypto/rand"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// sendTest makes one attempt to send a test message over the carrier that is
// configured. A text message costs like any other, and is counted.
func (a *App) sendTest(ctx context.Context, method mfa.Method, to string) ([]wire.Step, error) {
	text := "This is a test message of mfa on " + deliver.HostName() + "."
	m := mfa.Message{ID: "test-" + rand.Text(), Carrier: method, To: to, Text: text}
	cur := a.cur.Load()
	if method == mfa.Email {
		m.Subject, m.Text = "Test message of mfa on "+deliver.HostName(), text+"\n"
		return carrier.Test(ctx, cur.email, m)
	}
	if cur.sms == nil {
		return nil, errNoTexts
	}
	if err := cur.ledger.Reserve(ctx, testUser, to, false); err != nil {
		return nil, err
	}
	return carrier.Test(ctx, cur.sms, m)
}

// testUser is whom the ledger counts test messages for; no account has a name
// with spaces.
const testUser = "mfactl send-test"
