package carrier

import (
	"context"
	"crypto/rand"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A Ledger counts a text message or a call before it goes out, as spend.Ledger does.
type Ledger interface {
	Reserve(ctx context.Context, user, to string, newPlace bool) error
}

// Ledgers are those of what costs money.
type Ledgers struct{ Texts, Calls Ledger }

// SendTest makes one attempt to send a test message to an address or a number, and
// returns every step of it. A text message or a call costs like any other, and is counted.
// A mail is the one that letter writes: that of a login, which says that it is a test.
func SendTest(ctx context.Context, carriers deliver.Carriers, ledgers Ledgers, method mfa.Method, to string, letter func(id string, n deliver.CodeNotice) mfa.Message) ([]wire.Step, error) {
	c, err := carriers.Of(method)
	if err != nil {
		return nil, err
	}
	text := "This is a test message of mfa on " + deliver.HostName() + "."
	m := mfa.Message{ID: "test-" + rand.Text(), Carrier: method, To: to, Text: text, Code: testCode}
	switch method {
	case mfa.SMS:
		err = ledgers.Texts.Reserve(ctx, testUser, to, false)
	case mfa.Call:
		err = ledgers.Calls.Reserve(ctx, testUser, to, false)
	default:
		m = letter(m.ID, deliver.CodeNotice{
			Code: testCode, Host: deliver.HostName(), User: "nobody: this is a test message", Service: testUser, To: to,
		})
	}
	if err != nil {
		return nil, err
	}
	return Test(ctx, c, m)
}

// testCode is the code of a call, and of a WhatsApp template, which have to have one.
const testCode = "000000"

// testUser is whom the ledger counts test messages for; no account has a name
// with spaces.
const testUser = "mfactl send-test"
