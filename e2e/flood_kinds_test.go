package e2e

import (
	"testing"
	"time"
)

// allKinds sends, in turn and as fast as it goes, all that an unprivileged process can
// send: nothing, garbage, a hello that is too long, logins of others and of names that
// are none, wrong codes as oneself, requests for others' records, with long bodies too,
// and conversations of self-service. ARGV: pam.sock, control.sock, own name.
const allKinds = `
	my ($pam, $control, $me) = @ARGV;
	sub frame { pack("N", length $_[0]) . $_[0] }
	sub hello { frame(pack("C n N", ord "H", 1, 0) . pack("C n a*", 1, 6, "locker") . pack("C n a*", 2, length $_[0], $_[0])) }
	sub http { my ($verb, $path, $body, @more) = @_; join("\r\n", "$verb $path HTTP/1.1", "Host: x", "Content-Length: " . length $body, @more, "", $body) }
	sub try { my ($path, @say) = @_; my $s = con($path) or return;
		setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack("l!l!", 1, 0);
		for my $t (@say) { syswrite $s, $t or last; sysread $s, my $b, 4096 or last } close $s }
	my @upgrade = ("Connection: Upgrade", "Upgrade: mfa-conversation/1");
	my $guess = frame("A990099");
	my @kinds = (
		sub { try($pam) },
		sub { try($pam, "\xff" x 4096) },
		sub { try($pam, pack("N C n N", 49008, ord "H", 1, 0) . pack("C n", 2, 48997) . "\x01" x 48997) },
		sub { try($pam, hello("root")) },
		sub { try($pam, hello("ghost" . int rand 1e9)) },
		sub { try($pam, hello($me), ($guess) x 6) },
		sub { try($control, http("GET", "/v1/users/root", "")) },
		sub { try($control, http("POST", "/v1/users/" . "x" x 3000 . "/lock", "")) },
		sub { try($control, http("PATCH", "/v1/users/root", "{" . "x" x 200000)) },
		sub { try($control, "\xff" x 20000) },
		sub { try($control, http("POST", "/v1/self/enroll", "", @upgrade), ($guess) x 6) },
		sub { try($control, http("POST", "/v1/self/backup-codes", "", @upgrade), ($guess) x 6) },
	);
	while (1) { $_->() for @kinds }`

// A flood of everything by several users, of whom one has no account, writes no more
// than keeps an hour of it below a megabyte. What each may cause at once counts too.
func TestFloodOfAllKinds(t *testing.T) {
	s, alice := ready(t, `log.level = "info"`)
	eve := newAccount(t, "eve")
	files, before := s.daemonFiles(), s.written()
	began := time.Now()
	var ends []func()
	for _, a := range []account{alice, eve, {name: "nobody-at-all", uid: 54321}} {
		ends = append(ends, s.flood(a, `print "begun\n"; @ARGV = (@ARGV, "`+a.name+`"); `+allKinds))
	}
	pause(t, floodBursts)
	burst, since := s.written()-before, time.Since(began)
	mark, at := s.written(), time.Now()
	pause(t, floodGoesOn)
	grown, lasted := s.written()-mark, time.Since(at)
	for _, end := range ends {
		end()
	}
	hour := burst + int(float64(grown)*float64(time.Hour-since)/float64(lasted))
	t.Logf("%d bytes in the first %v, then %d in %v: %d in an hour", burst, since, grown, lasted, hour)
	if hour > 1_000_000 {
		t.Errorf("audit and log would grow by %d bytes in an hour", hour)
	}
	s.awaitFiles(files)
	s.login(s.newUser("carol"), 1)
}

// How long the flood lasts: until all have used up what they may do at once, and then
// long enough to see a rate.
const (
	floodBursts = 4 * time.Second
	floodGoesOn = 12 * time.Second
)

// pause lets a flood go on.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
