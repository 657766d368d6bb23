package deliver

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"mfa/internal/mfa"
)

// resolveWithin bounds the look-up of the machine's full name. It happens at a
// start, a reload and a check, never in a login.
const resolveWithin = 2 * time.Second

// known is the full name of this machine, once there was an answer.
var known atomic.Pointer[string]

// FullName returns the machine's name with its domain, as "hostname -f" does
// (hostname(1)): the first name that /etc/hosts has for it, or the one in DNS. Without a
// domain it is the short name. It may take two seconds, and remembers an answer. It may
// be called from many goroutines.
func FullName() string {
	if name := known.Load(); name != nil {
		return *name
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveWithin)
	defer cancel()
	name, found := withDomain(ctx, HostName(), (&net.Resolver{PreferGo: true}).LookupCNAME)
	if found {
		known.Store(&name)
	}
	return name
}

// withDomain returns host with its domain, and whether lookup found it.
func withDomain(ctx context.Context, host string, lookup func(ctx context.Context, host string) (string, error)) (name string, found bool) {
	if strings.Contains(host, ".") {
		return host, false
	}
	name, err := lookup(ctx, host)
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") || strings.HasPrefix(name, "localhost.") {
		return host, false
	}
	return name, true
}

// HostName returns the name of this machine as it calls itself, mostly without a
// domain; "localhost" if it has none.
func HostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// SenderProblem says why other mail servers would refuse the sender of mails from a
// machine of the name host, and how to mend it; "" if they would not.
func SenderProblem(cfg EmailConfig, host string) string {
	if cfg.From != "" || cfg.Transport == TransportOutbox || strings.Contains(host, ".") {
		return ""
	}
	return fmt.Sprintf("email.from is empty and this machine has no full name: mails come from mfa@%s, which outside servers refuse; "+
		"set email.from, or the name in /etc/hosts or DNS (hostname -f shows it)", host)
}

// SenderDomain returns the domain that mail comes from, which is that of host if cfg
// gives no other.
func SenderDomain(cfg EmailConfig, host string) string {
	from, err := mfa.ParseSender(cfg.From)
	if err != nil {
		return host
	}
	return mfa.DomainOf(from.Address)
}

// Domain returns host if it can stand in HELO and behind an @, else localhost.
func Domain(host string) string {
	bad := func(r rune) bool { return !IsWord(r) && r != '-' && r != '.' }
	if host == "" || len(host) > 253 || strings.ContainsFunc(host, bad) ||
		strings.HasPrefix(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "..") {
		return "localhost"
	}
	return host
}

// IsWord reports whether r is an ASCII letter or digit.
func IsWord(r rune) bool { return isDigit(r) || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// IsLoopback reports whether host is a loopback address or "localhost" (RFC 6761, 6.3).
// It asks no resolver: an answer from the network must not relax anything.
func IsLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}
