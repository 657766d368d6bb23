package mfa

import "net/netip"

// noPlaces are further addresses that say nothing of where a login comes from; netip has
// no method for them. They are "this network" and the reserved block with the broadcast
// address (RFC 6890), IPv4 written as IPv6 (RFC 4291, 2.5.5.1), the addresses of
// translators, where one /64 holds all of IPv4 (RFC 6052 and 8215, the older SIIT of
// RFC 2765, Teredo of RFC 4380), and site-local ones, which many networks use (RFC 3879).
var noPlaces = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("fec0::/10"),
}

// Place returns the IP address that a login comes from, without zone, and an IPv4 address
// mapped to IPv6 as IPv4. It is false for an address that does not tell one place from
// another; nothing may be remembered for those. They are host names and the word "local",
// which an attacker can choose; loopback addresses, which all logins through a tunnel, a
// jump host or a local process have; link-local ones, which every network uses; and
// translated, unspecified, multicast and reserved ones.
func Place(address string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{}, false
	}
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, false
	}
	for _, p := range noPlaces {
		if p.Contains(a) {
			return netip.Addr{}, false
		}
	}
	return a, true
}

// Place is the function Place for the address of an origin. It is also false for the
// server's own address: logins through tunnels and from local processes have it.
func (o Origin) Place() (netip.Addr, bool) {
	if o.Here {
		return netip.Addr{}, false
	}
	return Place(o.Address)
}
