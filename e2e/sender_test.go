package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/deliver/delivertest"
)

// Outside servers refuse the mail of a sender without a domain. A machine that has a full
// name sends under it, a Message-ID has the domain of email.from, and where there is
// neither the check and doctor say so.
func TestSenderHasADomain(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	hosts, err := os.ReadFile("/etc/hosts")
	ok(t, err)
	defer func() {
		ok(t, unix.Sethostname([]byte(hostName)))
		ok(t, os.WriteFile("/etc/hosts", hosts, 0o644))
	}()
	for n, test := range []struct{ name, host, line, from, sender, domain string }{
		{"the machine's full name", "web1", "127.0.1.1 web1.example.org web1", "", "mfa@web1.example.org", "web1.example.org"},
		{"it calls itself by it", "web2.example.org", "", "", "mfa@web2.example.org", "web2.example.org"},
		{"email.from", "web3", "127.0.1.1 web3.example.org web3", "codes@mail.example.net", "codes@mail.example.net", "mail.example.net"},
		{"email.from with a name", "web4", "", "Codes <codes@mail.example.net>", "codes@mail.example.net", "mail.example.net"},
		{"neither", "web5", "", "", "mfa@web5", "web5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ok(t, unix.Sethostname([]byte(test.host)))
			ok(t, os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost\n"+test.line+"\n"), 0o644))
			s, alice := smtpReady(t, "alice", e.Port, `email.from = "`+test.from+`"`)
			s.loginByExim(alice, e, n+1)
			mail := e.Mails(t, n+1)[n]
			if from := mail.Header.Get("From"); !strings.Contains(from, "<"+test.sender+">") {
				t.Errorf("From: %s", from)
			}
			if id := mail.Header.Get("Message-Id"); !strings.HasSuffix(id, "@"+test.domain+">") {
				t.Errorf("Message-ID: %s", id)
			}
			if path := mail.Header.Get("Return-Path"); path != "" && path != "<"+test.sender+">" {
				t.Errorf("Return-Path: %s", path)
			}

			checked, _ := exec.Command(artefact("mfad"), "--check", "--config", s.path("mfa.toml")).CombinedOutput()
			found, _ := s.control("doctor", "--config", s.path("mfa.toml"), "sshd")
			for said, text := range map[string]string{"the check": string(checked), "doctor": found} {
				if has := strings.Contains(text, "this machine has no full name"); has != (test.name == "neither") {
					t.Errorf("%s: %v, %s", said, has, text)
				}
			}
		})
	}
}
