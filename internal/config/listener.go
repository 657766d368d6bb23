package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// listener allows addresses, and no names: a name can come to mean another
// machine.
var listener = newRule(`an address and a port like "127.0.0.1:9402" or "[::1]:9402", "unix:/PATH", or ""`, func(s string) string {
	if s == "" {
		return ""
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		return socket.wrong(&path)
	}
	at, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is no address and port", s)
	case at.Port() == 0:
		return "port 0 is no port"
	}
	return ""
})
