package smtp

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
)

// program writes a shell script and returns an Email that uses it as sendmail.
// The script's folder is DIR in body.
func program(t *testing.T, body string) (e *Email, dir string) {
	t.Helper()
	path, dir := delivertest.Program(t, "sendmail", body)
	return newEmail(t, deliver.EmailConfig{
		Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: path},
	}), dir
}

func TestSendmailCommandLine(t *testing.T) {
	t.Setenv("MFA_TEST_SECRET", "leaks")
	e, dir := program(t, `for a; do echo "$a"; done > DIR/args; env > DIR/env; cat > DIR/mail`)
	m := message("123456")
	m.To = "-oQ/tmp@example.com"
	if err := e.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got, want := delivertest.ReadFile(t, dir+"/args"), "-i\n-f\nmfa@web1.example.com\n--\n-oQ/tmp@example.com\n"; got != want {
		t.Errorf("arguments %q, want %q", got, want)
	}
	if env := delivertest.ReadFile(t, dir+"/env"); strings.Contains(env, "leaks") {
		t.Errorf("environment is %q", env)
	}
	mail := delivertest.ReadFile(t, dir+"/mail")
	if strings.Contains(mail, "\r") || !strings.Contains(mail, "\n\nYour code: 123456\n") {
		t.Errorf("message is %q", mail)
	}
}

func TestSendmailExitCodes(t *testing.T) {
	for code, temporary := range map[int]bool{1: false, 64: false, 67: false, 69: false, 71: true, 74: true, 75: true, 78: false} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			e, dir := program(t, fmt.Sprintf(`cat >/dev/null; printf 'bad \033[1m day\n123456 it was' >&2; exit %d`, code))
			want := fmt.Sprintf("run sendmail %q: exit status %d: bad ?[1m day [hidden] it was", dir+"/sendmail", code)
			err := e.Send(t.Context(), message("123456"))
			if temporary {
				delivertest.WantTemporary(t, err, want)
			} else {
				delivertest.WantPermanent(t, err, want)
			}
		})
	}
}

func TestSendmailBoundsWhatItQuotes(t *testing.T) {
	e, _ := program(t, `i=0; while [ $i -lt 400 ]; do echo 'much too much' >&2; i=$((i+1)); done; exit 1`)
	err := e.Send(t.Context(), message("1"))
	delivertest.WantPermanent(t, err, "much too much")
	if n := len(err.Error()); n > carrier.AnswerLimit+300 {
		t.Errorf("error of %d bytes", n)
	}
}

// A program's words are bounded in memory, not only in the log.
func TestSendmailBoundsWhatItKeeps(t *testing.T) {
	e, _ := program(t, `cat >/dev/null; head -c 50000000 /dev/zero | tr '\0' x >&2; exit 1`)
	var err error
	if grown := delivertest.Allocated(func() { err = e.Send(t.Context(), message("1")) }); grown > 4<<20 {
		t.Errorf("50 MB of standard error took %d bytes", grown)
	}
	delivertest.WantPermanent(t, err, "xxxx")
}

// A local mail system quotes the recipient, whom no log shows.
func TestSendmailMasksTheRecipient(t *testing.T) {
	e, _ := program(t, `cat >/dev/null; echo "$5 is not known" >&2; exit 1`)
	delivertest.WantPermanent(t, e.Send(t.Context(), message("1")), ": "+deliver.Mask(message("1").To)+" is not known")
}

func TestSendmailDeadline(t *testing.T) {
	// The second reader holds standard error open after the first is killed,
	// as a delivery in the background may.
	e, dir := program(t, `cat < DIR/never & echo > DIR/ready; cat < DIR/never`)
	ready := delivertest.Fifo(t, dir+"/ready")
	defer ready.Close()
	defer delivertest.Fifo(t, dir+"/never").Close()
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	var waiter sync.WaitGroup
	waiter.Go(func() {
		_, _ = ready.Read(make([]byte, 1)) // ends when the program runs
		cancel(gone)
	})
	if err := e.Send(ctx, message("1")); !errors.Is(err, gone) {
		t.Errorf("error is %v, want the context's cause", err)
	}
	waiter.Wait()
}

func TestSendmailDeliversInTheBackground(t *testing.T) {
	e, dir := program(t, `cat < DIR/never & exit 0`)
	defer delivertest.Fifo(t, dir+"/never").Close()
	if err := e.Send(t.Context(), message("1")); err != nil {
		t.Errorf("the program succeeded and its child lives on: %v", err)
	}
}

func TestSendmailMissing(t *testing.T) {
	e := newEmail(t, deliver.EmailConfig{
		Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: filepath.Join(t.TempDir(), "none")},
	})
	delivertest.WantPermanent(t, e.Send(t.Context(), message("1")), "run sendmail", "no such file")
}

func TestSendmailWithoutReader(t *testing.T) {
	e, _ := program(t, `exit 0`)
	m := message("1")
	m.Text = strings.Repeat("more than a pipe holds\n", 1<<14)
	if err := e.Send(t.Context(), m); err != nil {
		t.Errorf("a program that does not read all but succeeds: %v", err)
	}
}
