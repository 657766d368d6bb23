package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marked returns the path of a file and its Mark of the moment now, and whether it got one.
func marked(t *testing.T, now Moment) (path string, m Mark, ok bool) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	m, ok = MarkOf(int(f.Fd()), &st, now)
	return path, m, ok
}

// later is a Moment so long after now.
func later(now Moment, by time.Duration) Moment { return Moment{now.Wall + by, now.Steady + by} }

// A stamp is no proof where the clock was moved, nor for long.
func TestMarkCounts(t *testing.T) {
	taken := later(Now(), time.Hour)
	path, m, ok := marked(t, taken)
	if !ok {
		t.Fatal("an old file got no mark")
	}
	for name, test := range map[string]struct {
		wall, steady time.Duration // since it was read
		counts       bool
	}{
		"at once":                     {0, 0, true},
		"a moment later":              {MarkedFor / 2, MarkedFor / 2, true},
		"a clock put right by a bit":  {MarkedFor/2 - ClockStep/2, MarkedFor / 2, true},
		"a clock set back":            {-time.Hour, time.Second, false},
		"a clock set back a little":   {0, ClockStep, false},
		"a clock set ahead":           {time.Hour, time.Second, false},
		"a long time later":           {MarkedFor, MarkedFor, false},
		"a machine that slept (wall)": {time.Hour, 0, false},
	} {
		if counts := m.Counts(path, Moment{taken.Wall + test.wall, taken.Steady + test.steady}); counts != test.counts {
			t.Errorf("%s: counts: %v, want %v", name, counts, test.counts)
		}
	}
	if m.Counts(path+".gone", taken) {
		t.Error("a file that is not there counts")
	}
	if (Mark{}).Counts(path, Moment{}) {
		t.Error("no mark counts")
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if m.Counts(path+".link", taken) {
		t.Error("a link counts")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if m.Counts(path, taken) {
		t.Error("a file of another mode counts")
	}
}

// A file that changed a moment ago, or at a time that has not come, may change once more
// and show the same time.
func TestUnsettledFileGetsNoMark(t *testing.T) {
	now := Moment{Wall: 1_700_000_000 * time.Second}
	before := func(d time.Duration) unix.Timespec { return unix.NsecToTimespec(int64(now.Wall - d)) }
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, test := range map[string]struct {
		modified, changed time.Duration // so long before now
		marked            bool
	}{
		"old":                          {time.Hour, time.Hour, true},
		"restored":                     {time.Hour, Settled, true},
		"changed now":                  {time.Hour, 0, false},
		"changed a tick ago":           {time.Hour, 10 * time.Millisecond, false},
		"changed a second ago":         {time.Hour, time.Second, false},
		"changed in the next second":   {time.Hour, -time.Second, false},
		"changed in a year to come":    {time.Hour, -365 * 24 * time.Hour, false},
		"written now":                  {0, time.Hour, false},
		"written in a year to come":    {-365 * 24 * time.Hour, time.Hour, false},
		"written and changed just now": {0, 0, false},
	} {
		st := unix.Stat_t{Mtim: before(test.modified), Ctim: before(test.changed)}
		if _, ok := MarkOf(int(f.Fd()), &st, now); ok != test.marked {
			t.Errorf("%s: marked: %v, want %v", name, ok, test.marked)
		}
	}
}

// A server's kernel may know of a change that ours does not.
func TestFileOfAnotherMachineGetsNoMark(t *testing.T) {
	fd, err := unix.Open("/proc/self/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, ok := MarkOf(fd, &unix.Stat_t{}, later(Now(), time.Hour)); ok {
		t.Error("it got one")
	}
}
