package account_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// An invitation goes to the address or number itself, has no code in it, and is written down
// with who had it sent and how it ended.
func TestInvite(t *testing.T) {
	refused := errors.New("no such mailbox")
	for name, tc := range map[string]struct {
		method mfa.Method
		to     string
		masked string
		lost   error
		event  string
		reason string
		text   string
	}{
		"email":         {mfa.Email, "alice@example.com", "a***e@example.com", nil, audit.Sent, "confirmation", "The next login that asks for a code by email sends it here."},
		"a text":        {mfa.SMS, "+17891234567", "+1*******67", nil, audit.Sent, "confirmation", "Typing the first one confirms it."},
		"undeliverable": {mfa.Email, "alice@example.com", "a***e@example.com", refused, audit.SendFailed, "confirmation: no such mailbox", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, strict())
			w.lost = tc.lost
			var ended error
			sending, err := w.Invite(t.Context(), alice, tc.method, tc.to, "root", func(err error) { ended = err })
			if err != nil {
				t.Fatal(err)
			}
			<-sending.Done()
			if !errors.Is(ended, tc.lost) {
				t.Errorf("ended with %v", ended)
			}
			ev := w.event(tc.event)
			if ev.To != tc.masked || ev.Actor != "root" || ev.Reason != tc.reason || ev.Method != string(tc.method) || ev.User != "alice" || *ev.UID != alice.UID {
				t.Errorf("audited: %+v", ev)
			}
			if tc.lost != nil {
				return
			}
			if m := <-w.mails; m.To != tc.to || m.Carrier != tc.method || m.User != "alice" || m.ID != ev.Message || !strings.Contains(m.Text, tc.text) {
				t.Errorf("sent %+v", m)
			}
		})
	}
}

// A text that may not be paid for is not sent, and not written down as if it were; email
// costs nothing.
func TestInviteAtALimit(t *testing.T) {
	w := newHarness(t, strict())
	w.spent = errors.New("too many")
	after := func(error) {}
	if _, err := w.Invite(t.Context(), alice, mfa.SMS, "+17891234567", "root", after); !errors.Is(err, w.spent) {
		t.Errorf("text: %v", err)
	}
	if lines := w.audited("challenge"); len(lines) > 0 {
		t.Errorf("audited: %q", lines)
	}
	if _, err := w.Invite(t.Context(), alice, mfa.Email, "alice@example.com", "root", after); err != nil {
		t.Errorf("email: %v", err)
	}
	if mails := w.mail(); len(mails) != 1 || mails[0].Carrier != mfa.Email {
		t.Errorf("sent %+v", mails)
	}
}

// A notice goes to the address that was confirmed, and says who, where and whence; who is no
// account is sent none.
func TestNotify(t *testing.T) {
	unconfirmed := mfa.Enrollment{Email: &mfa.Address{Address: "alice@example.com"}}
	notice := account.Notice{Subject: text.Of("Second factor changed"), What: text.Of("An app."), Advice: text.Of("Tell.")}
	w := newHarness(t, strict())
	w.has(reachable(), mfa.State{})
	u, nobody := w.user(), w.User(w.Records().NewUnknownAccount("ghost"), home)
	u.Notify(unconfirmed, notice)
	u.Notify(mfa.Enrollment{}, notice)
	nobody.Pretend(reachable())
	nobody.Notify(reachable(), notice)
	u.Notify(reachable(), notice)
	mails := w.mail()
	if len(mails) != 1 || mails[0].To != "alice@example.com" || mails[0].Subject != "Second factor changed on host" {
		t.Fatalf("sent %+v", mails)
	}
	for _, word := range []string{"An app.", "Tell.", "alice", "sshd", "203.0.113.7", "host"} {
		if !strings.Contains(mails[0].Text, word) {
			t.Errorf("%q is not in %q", word, mails[0].Text)
		}
	}
}

// A notice that nobody takes, and one whose address cannot be read, stop nothing; the log has it.
func TestNoticeThatDoesNotGoOut(t *testing.T) {
	w := newHarness(t, strict())
	var log bytes.Buffer
	w.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.configure(strict())
	w.has(reachable(), mfa.State{})
	w.lost = errors.New("no such mailbox")
	u := w.user()
	w.wrong(u, 3)
	w.mail() // waits
	put(t, w.Records(), "users/alice", "[")
	w.update(u, (*mfa.State).Unlock)
	w.wrong(u, 3)
	for _, word := range []string{"notice not delivered", "no such mailbox", "user not told by mail"} {
		if !strings.Contains(log.String(), word) {
			t.Errorf("%q is not logged: %s", word, log.String())
		}
	}
	if _, locked := u.Locked(w.state()); !locked || len(w.audited(audit.Locked)) != 2 {
		t.Error("not locked")
	}
}
