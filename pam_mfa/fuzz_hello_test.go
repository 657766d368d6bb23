package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// cString is what C sees of a text.
func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s[:min(len(s), wire.MaxField+1)]
}

// HELLO is what package wiretest writes, which package wire reads; a login with a field that
// is too long ends before the daemon hears of it. SSH_AUTH_INFO_0 and SSH_CONNECTION come
// from sshd, which has them from the client.
func FuzzHello(f *testing.F) {
	f.Add(uint32(0x8001), "sshd", "alice", "203.0.113.7", "ssh", "bob", "publickey a\n", "1 2 3 4", "1.0", "answer")
	f.Add(uint32(0), "", "", "", "", "", "", "", "", "")
	name, field := strings.Repeat("n", wire.MaxName), strings.Repeat("f", wire.MaxField)
	f.Add(uint32(1), name, name, name, name, name, field, field, name, name)
	f.Add(uint32(1), name+"n", "", "", "", "", "", "", "", "")
	f.Add(uint32(1), "", "", "", "", "", field+"f", "", "", "")
	f.Add(uint32(1), "", "", "", "", "", "", field+"f", "", "")
	f.Fuzz(func(t *testing.T, flags uint32, service, user, rhost, tty, ruser, info, connection, module, held string) {
		req := mfa.Request{
			Flags: flags, Service: cString(service), User: cString(user), RHost: cString(rhost), TTY: cString(tty),
			RUser: cString(ruser), SSHAuthInfo: cString(info), SSHConnection: cString(connection), Module: cString(module), Held: cString(held),
		}
		v, sent := exchange(t, letIn, req, always(""), "")
		names := []string{req.Service, req.User, req.RHost, req.TTY, req.RUser, req.Module, req.Held}
		if slices.ContainsFunc(names, func(s string) bool { return len(s) > wire.MaxName }) || max(len(req.SSHAuthInfo), len(req.SSHConnection)) > wire.MaxField {
			if len(sent) != 0 || v.outcome != broken || v.spoken {
				t.Errorf("too long: %+v, relay sent %d frames", v, len(sent))
			}
			return
		}
		if want := wiretest.Hello(req); len(sent) != 1 || sent[0].Type != want.Type || !bytes.Equal(sent[0].Payload, want.Payload) {
			t.Errorf("relay sent %q, want %q", sent, want)
		}
		if v.outcome != accepted {
			t.Errorf("%+v", v)
		}
	})
}

// FuzzKey gives "proven=publickey" what sshd says it had before it asked PAM
// (sshd_config(5), ExposeAuthInfo): only a line of sshd that names the method lets in.
func FuzzKey(f *testing.F) {
	for _, info := range []string{
		"publickey ssh-ed25519 AAAA\n", "publickey", "password\npublickey ssh-rsa AAAA", "\n\npublickey/x", "publickeys a", "hostbased publickey",
		"keyboard-interactive/pam\n", "Publickey a", "publickey\x01", " publickey a", "publicke", "password\r\npublickey a",
	} {
		f.Add("sshd", info)
	}
	f.Add("sudo", "publickey ssh-ed25519 AAAA\n")
	f.Add("SSHD", "publickey") // libpam turns it to lower case
	f.Add("", "publickey")
	conf := f.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "other"), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, service, info string) {
		service, info = cString(service), cString(info)
		want := codeIgnore
		for line := range strings.SplitSeq(info, "\n") {
			rest, ok := strings.CutPrefix(line, "publickey")
			if string(lowered(service)) == "sshd" && ok && (rest == "" || rest[0] == ' ' || rest[0] == '/') {
				want = codeSuccess
			}
		}
		if got := proven(conf, service, info); got != want {
			t.Errorf("%q, %q: PAM code %d, want %d", service, info, got, want)
		}
	})
}
