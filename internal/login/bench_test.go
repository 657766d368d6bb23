package login

import (
	"context"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// BenchmarkPolicy is what each login does to find the policy that counts for it: five rules,
// of whom the last one does.
func BenchmarkPolicy(b *testing.B) {
	cfg := defaults().policy
	cfg.Policy.Rules = []Rule{
		off(Rule{Users: []string{"robot"}}),
		off(Rule{Services: []string{"cron"}}),
		off(Rule{Networks: nets("10.0.0.0/8", "2001:db8::/32")}),
		off(Rule{FirstFactor: "publickey"}),
		{Services: []string{"sshd"}},
	}
	lookup := func(context.Context, string) (mfa.Identity, error) { return mfa.Identity{Name: "robot", UID: 7}, nil }
	e := &Engine{cfg: cfg, deps: Deps{Lookup: lookup, Now: time.Now}}
	req := mfa.Request{Service: "sshd", User: "alice", RHost: "192.0.2.1"}
	user := &account.User{Account: &account.Account{ID: mfa.Identity{Name: "alice", UID: 1000}}, Origin: OriginOf(req)}
	b.ReportAllocs()
	for b.Loop() {
		l := e.inquire(user, provenFactors(req))
		if err := l.findPolicy(b.Context()); err != nil || len(l.passed) != 4 {
			b.Fatal(err, l.passed)
		}
	}
}
