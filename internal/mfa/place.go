package mfa

import "net/netip"

// noPlaces are the addresses that netip has no word for and that say nothing of
// where a login comes from: "this network" and the reserved block with the
// broadcast address (RFC 6890), and IPv4 written as IPv6 (RFC 4291, 2.5.5.1).
var noPlaces = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
}

// Place returns the IP address that a login comes from, without zone and with IPv4
// as IPv4, if it tells one place from another. It is false for all others, of which
// nothing may be remembered: host names and the word "local", for whoever owns the
// name or runs on this machine chooses them; loopback addresses, which everything
// has that comes through a tunnel, a jump host or a local process; link-local ones,
// which every network has anew; and unspecified, multicast and reserved ones.
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
