// Package trylogin runs the PAM stack of a service as a login does.
//
// What to know before trusting it: nothing is simulated. libpam of this machine runs
// the modules, which send codes and count wrong answers. No session is opened, and no
// password is changed.
package trylogin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/msteinert/pam/v2"

	"mfa/internal/mfa"
)

// A Login is a login to try.
type Login struct {
	User, Service string
	RHost         string       // where it seems to come from; empty: here
	Dir           string       // of the stack; empty: where libpam looks
	Person        mfa.Prompter // shows the prompts of modules, and answers
}

// pamDir is where libpam looks first.
const pamDir = "/etc/pam.d"

// File returns the path of the file that libpam looks for first, and whether it is there.
func (l Login) File() (name string, there bool) {
	dir := pamDir
	if l.Dir != "" {
		dir = l.Dir
	}
	name = filepath.Join(dir, strings.ToLower(l.Service)) // as pam_start(3) does
	_, err := os.Stat(name)
	return name, !errors.Is(err, os.ErrNotExist)
}

// An End says how a login would end.
type End int

// The ends of a login.
const (
	Refused End = iota
	LetIn
	ChangeFirst // let in, once the password is changed
)

// errInterrupted is the error of a login that its context ended.
var errInterrupted = errors.New("interrupted")

// Try makes the calls of a login, pam_authenticate and pam_acct_mgmt, and calls told after
// each. It returns how the login would end; an error if libpam could not be run to the
// end.
func (l Login) Try(ctx context.Context, told func(Step)) (End, error) {
	tx, err := l.start(ctx)
	if err != nil {
		return Refused, fmt.Errorf("pam_start: %w", err)
	}
	end, err := steps(ctx, tx, told)
	return end, errors.Join(err, tx.End())
}

// start begins as sshd and login do.
func (l Login) start(ctx context.Context) (*pam.Transaction, error) {
	handler := pam.ConversationFunc(func(style pam.Style, text string) (string, error) {
		return relay(ctx, l.Person, style, text)
	})
	begin := pam.Start
	if l.Dir != "" {
		begin = func(service, user string, h pam.ConversationHandler) (*pam.Transaction, error) {
			return pam.StartConfDir(service, user, h, l.Dir)
		}
	}
	tx, err := begin(l.Service, l.User, handler)
	if err != nil {
		return nil, err
	}
	items := map[pam.Item]string{pam.Tty: ttyOf(l.Service)}
	if l.RHost != "" {
		items[pam.Rhost] = l.RHost
	}
	for item, value := range items {
		if err := tx.SetItem(item, value); err != nil {
			return nil, errors.Join(err, tx.End())
		}
	}
	return tx, nil
}

// ttyOf returns what a service calls its terminal: sshd has none yet.
func ttyOf(service string) string {
	if service == "sshd" {
		return "ssh"
	}
	tty, err := os.Readlink("/proc/self/fd/0")
	if err != nil || !strings.HasPrefix(tty, "/dev/") {
		return "unknown"
	}
	return tty
}

// relay shows a person what a module says, and returns the answer.
func relay(ctx context.Context, person mfa.Prompter, style pam.Style, text string) (string, error) {
	kinds := map[pam.Style]mfa.PromptKind{
		pam.PromptEchoOn: mfa.Ask, pam.PromptEchoOff: mfa.AskHidden, pam.TextInfo: mfa.Info, pam.ErrorMsg: mfa.Failure,
	}
	kind, known := kinds[style]
	if !known {
		return "", pam.ErrConv
	}
	return person.Prompt(ctx, mfa.Prompt{Kind: kind, Text: text})
}

// steps goes through the calls of a login that has begun.
func steps(ctx context.Context, tx *pam.Transaction, told func(Step)) (End, error) {
	status, err := outcome(ctx, tx.Authenticate(0))
	if err != nil {
		return Refused, err
	}
	told(Step{"pam_authenticate", status})
	if status != success {
		return Refused, nil
	}
	if status, err = outcome(ctx, tx.AcctMgmt(0)); err != nil {
		return Refused, err
	}
	told(Step{"pam_acct_mgmt", status})
	switch status {
	case success:
		return LetIn, nil
	case pam.ErrNewAuthtokReqd:
		return ChangeFirst, nil
	}
	return Refused, nil
}

// success is PAM_SUCCESS, which the binding of libpam has as no error at all.
const success pam.Error = 0

// outcome returns what a call of libpam returned; an error if that is not known.
func outcome(ctx context.Context, returned error) (pam.Error, error) {
	if ctx.Err() != nil {
		return 0, errInterrupted
	}
	if status, ok := errors.AsType[pam.Error](returned); ok {
		return status, nil
	}
	return success, returned
}
