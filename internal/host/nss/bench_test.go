package nss

import "testing"

// BenchmarkLookup is one look-up of an account, as each login makes.
func BenchmarkLookup(b *testing.B) {
	for b.Loop() {
		if _, err := Lookup(b.Context(), "root"); err != nil {
			b.Fatal(err)
		}
	}
}
