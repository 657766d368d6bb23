package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"
)

// A held is a login through libpam that stands at the prompt for a backup code, until
// it is given one. Then it hangs up.
type held struct {
	at   chan struct{} // closed at the prompt
	code chan string
	end  chan error
}

// hold begins one; answered is counted up when the answer has been looked at.
func hold(service, user string, answered *atomic.Int64) held {
	h := held{make(chan struct{}), make(chan string, 1), make(chan error, 1)}
	given := false
	converse := func(style pam.Style, text string) (string, error) {
		switch {
		case given:
			return "", errors.New("hung up")
		case style != pam.PromptEchoOn && style != pam.PromptEchoOff:
			return "", nil
		case strings.HasSuffix(text, "Backup code: "):
			close(h.at)
			given = true
			return <-h.code, nil
		case strings.HasSuffix(text, "Choice [1]: "):
			return "2", nil
		}
		return "m", nil
	}
	go func() {
		tx, err := pam.StartFunc(service, user, converse)
		if err == nil {
			err = errors.Join(tx.Authenticate(0), tx.End())
		}
		answered.Add(1)
		h.end <- err
	}()
	return h
}

// holdAll begins n, and waits until each stands at its prompt.
func holdAll(t *testing.T, n int, user string, answered *atomic.Int64) (all []held) {
	t.Helper()
	for range n {
		all = append(all, hold("held", user, answered))
	}
	for i, h := range all {
		select {
		case <-h.at:
		case err := <-h.end:
			t.Fatalf("login %d of %s ended: %v", i+1, user, err)
		case <-time.After(patience):
			t.Fatalf("login %d of %s is not asked for a backup code", i+1, user)
		}
	}
	return all
}

// answerAll answers all at once, and waits for their ends, none of which lets in.
func answerAll(t *testing.T, all []held, code string) {
	t.Helper()
	for _, h := range all {
		h.code <- code
	}
	for _, h := range all {
		if err := <-h.end; err == nil {
			t.Error("let in by a wrong backup code")
		}
	}
}

// cpu returns what the daemon's threads have worked so far.
func (s *site) cpu() (sum time.Duration) {
	s.t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
	ok(s.t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		ok(s.t, err)
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		ok(s.t, err)
		sum += time.Duration(ns)
	}
	return sum
}

// Answers at the prompt for a backup code cost Argon2id each. Those after the lock cost
// none, and of one user one is computed at a time: others wait for none of them.
func TestHeldPromptsForBackupCodes(t *testing.T) {
	const few, many, bad = 40, 150, "2222-2222-2222-2222"
	backed := func(settings ...string) (*site, account) {
		s, alice := nothingYet(t, settings...)
		s.enrollByEmail(alice, 1)
		s.stack("held", s.codeOnly()...)
		return s, alice
	}
	var answered atomic.Int64

	s, alice := backed("lockout.failures = 100")
	bob := newAccount(t, "bob")
	codes := s.enrollByEmail(bob, 1)
	began, all := s.cpu(), holdAll(t, few, alice.name, &answered)
	prompts := (s.cpu() - began) / few
	his := holdAll(t, 1, bob.name, &atomic.Int64{})[0]
	began = s.cpu()
	answered.Store(0)
	for _, h := range all {
		h.code <- bad
	}
	his.code <- codes[0]
	ok(t, <-his.end)
	before := answered.Load()
	if before > few/2 {
		t.Errorf("another user's backup code waited for %d of %d of somebody else's", before, few)
	}
	for _, h := range all {
		<-h.end
	}
	one := (s.cpu() - began) / (few + 1)
	t.Logf("an answer costs %v, to its prompt %v; %d of %d came before another user's", one, prompts, before, few)

	s, alice = backed()
	all = holdAll(t, many, alice.name, &answered)
	began = s.cpu()
	answerAll(t, all, bad)
	cost := s.cpu() - began
	t.Logf("%d answers, of which 5 lock, cost %v: as much as %.1f", many, cost, float64(cost)/float64(one))
	if cost > many/5*one {
		t.Errorf("%d answers, of which 5 lock, cost %v; one costs %v", many, cost, one)
	}
	s.expectFailures(alice, failures)

	s.mustControl("unlock", alice.name)
	all = holdAll(t, many, alice.name, &answered)
	s.mustControl("lock", alice.name)
	began = s.cpu()
	answerAll(t, all, bad)
	cost = s.cpu() - began
	t.Logf("%d answers after a lock cost %v: as much as %.1f", many, cost, float64(cost)/float64(one))
	if cost > many/5*one {
		t.Errorf("%d answers after a lock cost %v; one costs %v", many, cost, one)
	}
	s.expectFailures(alice, failures)
}
