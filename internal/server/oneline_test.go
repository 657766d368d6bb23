package server

import (
	"context"
	"net"
	"testing"
	"time"

	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// split asks how a line of user is cut, and returns what is said.
func split(t *testing.T, path, user string) wire.Frame {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	f := wiretest.Hello(mfa.Request{Service: "imap", User: user})
	f.Type = wire.Split
	send(t, c, f)
	got, err := wire.Read(c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The question how a line is cut holds no login, and has one frame for an answer.
func TestSplitHoldsNoLogin(t *testing.T) {
	path, s, _ := serve(t, func(context.Context, mfa.Request, login.Prompter) (mfa.Verdict, error) {
		t.Error("a login was held")
		return mfa.Verdict{}, nil
	})
	for range 3 {
		all, err := wiretest.Endings(split(t, path, "root")) // who is not root may ask for themselves alone
		if err != nil || len(all) != 2 {
			t.Errorf("%v, %v", all, err)
		}
	}
	eventually(t, "the places are free again", func() bool { return s.Running() == 0 })
}
