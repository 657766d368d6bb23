package history

// A set is a set of small numbers, eight a byte, that can be compared. It ends with no zero byte.
type set string

func (s set) has(n int) bool { return n/8 < len(s) && s[n/8]&(1<<(n%8)) != 0 }

// with returns s and n.
func (s set) with(n int) set {
	b := make([]byte, max(len(s), n/8+1))
	copy(b, s)
	b[n/8] |= 1 << (n % 8)
	return set(b)
}

// without returns s but n.
func (s set) without(n int) set {
	if !s.has(n) {
		return s
	}
	b := []byte(s)
	b[n/8] &^= 1 << (n % 8)
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return set(b)
}

// at returns the nth byte.
func (s set) at(n int) byte {
	if n < len(s) {
		return s[n]
	}
	return 0
}

// within reports whether s is other, but for some that are optional and only in other.
func (s set) within(other, optional set) bool {
	for n := range max(len(s), len(other)) {
		a, b := s.at(n), other.at(n)
		if a&^b != 0 || b&^a&^optional.at(n) != 0 {
			return false
		}
	}
	return true
}
