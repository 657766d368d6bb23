package carrier

import (
	"context"
	"crypto/rand"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A Ledger counts a text message before it is sent, as spend.Ledger does.
type Ledger interface {
	Reserve(ctx context.Context, user, to string, stranger bool) error
}

// SendTest makes one attempt to send a test message to an address or a number, and
// returns every step of it. A text message costs like any other, and is counted.
func SendTest(ctx context.Context, carriers deliver.Carriers, texts Ledger, method mfa.Method, to string) ([]wire.Step, error) {
	c, err := carriers.Of(method)
	if err != nil {
		return nil, err
	}
	text := "This is a test message of mfa on " + deliver.HostName() + "."
	m := mfa.Message{ID: "test-" + rand.Text(), Carrier: method, To: to, Text: text}
	if method == mfa.SMS {
		err = texts.Reserve(ctx, testUser, to, false)
	} else {
		m.Subject, m.Text = "Test message of mfa on "+deliver.HostName(), text+"\n"
	}
	if err != nil {
		return nil, err
	}
	return Test(ctx, c, m)
}

// testUser is whom the ledger counts test messages for; no account has a name
// with spaces.
const testUser = "mfactl send-test"
