package app

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"mfa/internal/deliver"
)

// resolveWithin bounds the look-up of the machine's full name. It happens at a
// start and a reload, never in a login.
const resolveWithin = 2 * time.Second

// known is the full name of this machine, once there was an answer.
var known atomic.Pointer[string]

// fullName returns the machine's name with its domain, as "hostname -f" does
// (hostname(1)): the first name that /etc/hosts has for it, or the one in DNS. If
// nobody knows a domain it is the short name.
func fullName() string {
	if name := known.Load(); name != nil {
		return *name
	}
	host := hostname()
	if strings.Contains(host, ".") {
		return host
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveWithin)
	defer cancel()
	name, err := (&net.Resolver{PreferGo: true}).LookupCNAME(ctx, host)
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") || strings.HasPrefix(name, "localhost.") {
		return host
	}
	known.Store(&name)
	return name
}

func hostname() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// warnOfSender says so when mail comes from an address that outside servers refuse.
func warnOfSender(log *slog.Logger, cfg deliver.EmailConfig, host string) {
	if cfg.From == "" && cfg.Transport != deliver.TransportOutbox && !strings.Contains(host, ".") {
		log.Warn("email.from is empty and this machine has no full name: outside servers refuse such a sender; "+
			"set email.from, or the name in /etc/hosts or DNS (hostname -f shows it)", "sender", "mfa@"+host)
	}
}
