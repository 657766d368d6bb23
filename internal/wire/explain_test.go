package wire

import "testing"

// What a census says grows by what it has to say, and by nothing else.
func TestCensusInWords(t *testing.T) {
	const begins = "of 9 users with a record 1 get in by the first factor alone, and 2 have a second factor but none that counts"
	for _, tc := range []struct {
		c    Census
		want string
	}{
		{Census{Users: 9, Alone: 1, Without: 2}, begins + " (they prove what they have and are led to another)"},
		{Census{Users: 9, Alone: 1, Without: 2, Out: 1}, begins + " (1 of them are kept out)"},
		{Census{Users: 9, Alone: 1, Without: 2, Out: 1, Unknown: 3}, begins + " (1 of them are kept out); the groups of 3 could not be looked up"},
		{Census{Users: 9, Alone: 1, Without: 2, Out: 1, Partly: true}, begins + " (1 of them are kept out); not all were counted"},
		{
			Census{Users: 9, Alone: 1},
			"of 9 users with a record 1 get in by the first factor alone, and 0 have a second factor but none that counts",
		},
	} {
		if got := tc.c.String(); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.c, got, tc.want)
		}
	}
}
