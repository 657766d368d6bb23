package mfa

import "net/netip"

// noPlaces are the addresses that netip has no word for and that say nothing of
// where a login comes from: "this network" and the reserved block with the
// broadcast address (RFC 6890), and IPv4 written as IPv6 (RFC 4291, 2.5.5.1). Nor do
// those that a translator gives to its clients: all of IPv4 is in one network of 64
// bits there (RFC 6052 and 8215, the older SIIT of RFC 2765, Teredo of RFC 4380). Site-local
// addresses are those of many networks (RFC 3879).
var noPlaces = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("fec0::/10"),
}

// Place returns the IP address that a login comes from, without zone and with IPv4
// as IPv4, if it tells one place from another. It is false for all others, of which
// nothing may be remembered: host names and the word "local", for whoever owns the
// name or runs on this machine chooses them; loopback addresses, which everything
// has that comes through a tunnel, a jump host or a local process; link-local ones,
// which every network has anew; translated, unspecified, multicast and reserved ones.
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

// Place is the function Place for the address of an origin. It is false, too, for one
// that is the server's own: tunnels, jump hosts and local processes come from there.
func (o Origin) Place() (netip.Addr, bool) {
	if o.Here {
		return netip.Addr{}, false
	}
	return Place(o.Address)
}
