package deliver

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestFullName(t *testing.T) {
	for _, tc := range []struct {
		host, answer string
		err          error
		want         string
		found        bool
	}{
		{"web1", "web1.example.com.", nil, "web1.example.com", true},
		{"web1", "web1.example.com", nil, "web1.example.com", true},
		{"web1", "www.example.net.", nil, "www.example.net", true},
		{"web1.example.com", "other.example.com.", nil, "web1.example.com", false},
		{"web1", "", errors.New("no such host"), "web1", false},
		{"web1", "web1.example.com.", errors.New("and an error"), "web1", false},
		{"web1", "web1.", nil, "web1", false},
		{"web1", "", nil, "web1", false},
		{"web1", "localhost.localdomain.", nil, "web1", false},
		{"localhost", "localhost.", nil, "localhost", false},
	} {
		name, found := withDomain(t.Context(), tc.host, func(context.Context, string) (string, error) { return tc.answer, tc.err })
		if name != tc.want || found != tc.found {
			t.Errorf("%q, for which DNS says %q, %v: %q, %v", tc.host, tc.answer, tc.err, name, found)
		}
	}
	if FullName() == "" || HostName() == "" {
		t.Error("this machine has no name at all")
	}
}

func TestSenderProblem(t *testing.T) {
	for _, tc := range []struct {
		cfg  EmailConfig
		host string
		want bool
	}{
		{EmailConfig{Transport: TransportSMTP}, "web1", true},
		{EmailConfig{Transport: TransportSendmail}, "localhost", true},
		{EmailConfig{Transport: TransportSMTP}, "web1.example.com", false},
		{EmailConfig{Transport: TransportSMTP, From: "mfa@example.com"}, "web1", false},
		{EmailConfig{Transport: TransportOutbox}, "web1", false},
	} {
		problem := SenderProblem(tc.cfg, tc.host)
		if (problem != "") != tc.want || tc.want && (!strings.Contains(problem, "mfa@"+tc.host) || !strings.Contains(problem, "email.from")) {
			t.Errorf("%+v on %q: %q", tc.cfg, tc.host, problem)
		}
	}
}

func TestSenderDomain(t *testing.T) {
	for from, want := range map[string]string{
		"":                           "web1",
		"mfa@example.com":            "example.com",
		"Login <mfa@mx.example.com>": "mx.example.com",
	} {
		if got := SenderDomain(EmailConfig{From: from}, "web1"); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}
