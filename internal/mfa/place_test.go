package mfa

import "testing"

func TestPlace(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7":           "203.0.113.7",
		"::ffff:203.0.113.7":    "203.0.113.7",
		"10.0.0.1":              "10.0.0.1", // of an office, and bound to it
		"192.168.1.20":          "192.168.1.20",
		"2001:db8::7":           "2001:db8::7",
		"2001:db8::7%eth0":      "2001:db8::7",
		"fd00::1":               "fd00::1",
		"127.0.0.1":             "",
		"127.0.0.53":            "",
		"127.255.255.254":       "",
		"::ffff:127.0.0.1":      "",
		"::ffff:7f00:1":         "",
		"::127.0.0.1":           "",
		"::1":                   "",
		"::1%lo":                "",
		"0.0.0.0":               "",
		"0.0.0.1":               "",
		"::":                    "",
		"::ffff:0.0.0.0":        "",
		"169.254.1.1":           "",
		"::ffff:169.254.1.1":    "",
		"fe80::1":               "",
		"fe80::1%eth0":          "",
		"febf::1":               "",
		"fec0::1":               "", // site-local
		"feff::1":               "",
		"64:ff9b::cb00:7107":    "", // translated: all of IPv4 is in one network
		"64:ff9b:1::1":          "",
		"64:ff9b:2::1":          "64:ff9b:2::1",
		"::ffff:0:203.0.113.7":  "",
		"2001:0:1::1":           "",
		"2001:1::1":             "2001:1::1",
		"224.0.0.1":             "",
		"239.255.255.250":       "",
		"::ffff:224.0.0.1":      "",
		"ff02::1":               "",
		"ff02::1%eth0":          "",
		"ff0e::1":               "",
		"240.0.0.1":             "",
		"255.255.255.255":       "",
		"local":                 "",
		"localhost":             "",
		"desk.example.com":      "",
		"?203.0.113.7":          "",
		"203.0.113.7:22":        "",
		"203.0.113.7/32":        "",
		"0203.0.113.7":          "",
		"0x7f.1":                "",
		"2130706433":            "",
		"":                      "",
		"[2001:db8::7]":         "",
		"2001:db8::7 ":          "",
		"0:0:0:0:0:0:0:1":       "",
		"0:0:0:0:0:ffff:7f00:1": "",
	} {
		got, ok := Place(address)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("Place(%q) = %v, %v; want %q", address, got, ok, want)
		}
	}
}

func TestPlaceOfAnOrigin(t *testing.T) {
	for o, want := range map[Origin]bool{
		{Address: "203.0.113.7"}:             true,
		{Address: "203.0.113.7", Here: true}: false,
		{Address: "127.0.0.1"}:               false,
		{Address: "local"}:                   false,
	} {
		if _, ok := o.Place(); ok != want {
			t.Errorf("%+v is a place: %v", o, ok)
		}
	}
}
