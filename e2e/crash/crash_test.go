package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// programs returns a folder with mfad, mfactl and this program, built as they are shipped:
// without the race detector, whose writes are others.
func programs(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mfad believes only root who logs in")
	}
	dir := t.TempDir()
	for _, name := range []string{"mfad", "mfactl", "e2e/crash"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, filepath.Base(name)), "mfa/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// walked runs the program, and returns what it said and whether all points are good.
func walked(t *testing.T, dir string, args ...string) (said string, good bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "crash"), append([]string{"-programs", dir, "-dir", filepath.Join(dir, "torture")}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

func TestPoints(t *testing.T) {
	dir := programs(t)
	t.Run("part", func(t *testing.T) { somePoints(t, dir) })
	t.Run("lies", func(t *testing.T) { findsLies(t, dir) })
}

// A part of the points of some scenarios are good; "make torture" walks all of all.
func somePoints(t *testing.T, dir string) {
	t.Helper()
	said, good := walked(t, dir, "-only", "app,email,text,lock,enroll-app,enroll-token,admin,rotate",
		"-share", "16", "-kills", "1", "-random", "1", "-inside", "12", "-outside", "50")
	t.Log(said)
	if !good {
		t.Error("points failed")
	}
}

// A disk that does not sync what it says, and a daemon that says what it decided before it
// is written, are found out. So are their like in mfad.
func findsLies(t *testing.T, dir string) {
	t.Helper()
	for lie, test := range map[string]struct{ scenario, want string }{
		lieData:  {"enroll-email", "does not start|not readable"},
		lieNames: {"enroll-app", "somebody heard|of no moment|forgotten"},
		lieLog:   {"token", "does not start|forgotten|somebody heard"},
		lieEarly: {"token", "forgotten"},
	} {
		said, good := walked(t, dir, "-lie", lie, "-only", test.scenario, "-share", "6", "-random", "1", "-kills", "0", "-inside", "0", "-outside", "0")
		if good || !regexp.MustCompile(test.want).MatchString(said) {
			t.Errorf("%s: %s", lie, said)
		}
		if lie == lieEarly {
			replays(t, dir, said)
		}
	}
}

// replays has the first point that failed looked at again by its number: with the lie it
// fails again, without it is good.
func replays(t *testing.T, dir, said string) {
	t.Helper()
	m := regexp.MustCompile(`FAILED (\S+):`).FindStringSubmatch(said)
	if m == nil {
		t.Fatal(said)
	}
	if said, good := walked(t, dir, "-replay", m[1], "-lie", lieEarly); good || !strings.Contains(said, m[1]) {
		t.Errorf("%s with the lie: %s", m[1], said)
	}
	if said, good := walked(t, dir, "-replay", m[1]); !good {
		t.Errorf("%s without the lie: %s", m[1], said)
	}
}

// A number that is none is said to be so.
func TestReplayOfNothing(t *testing.T) {
	for _, number := range []string{"app", "app/x/y/z", "nothing/kill/1"} {
		if code := run([]string{"-replay", number, "-dir", t.TempDir()}, &bytes.Buffer{}); code != 1 {
			t.Errorf("%s: status %d", number, code)
		}
	}
}

// Without a sync data is lost, or there in part, and names go with their folder.
func TestDisk(t *testing.T) {
	d := newDisk(map[string]node{"a": {Data: []byte("old"), Mode: 0o600}})
	for _, o := range []op{
		{Kind: write, Path: "a", Data: []byte("new")},
		{Kind: create, Path: "t", Mode: 0o600},
		{Kind: write, Path: "t", Data: bytes.Repeat([]byte("x"), 3*sector)},
		{Kind: fsync, Path: "t"},
		{Kind: rename, Path: "t", To: "b"},
	} {
		d.apply(o)
	}
	if all := d.after(nothing()); len(all) != 1 || string(all["a"].Data) != "old" {
		t.Errorf("without what is not synced: %v", all)
	}
	if all := d.after(everything()); len(all) != 2 || string(all["a"].Data) != "new" || len(all["b"].Data) != 3*sector {
		t.Errorf("with all: %v", all)
	}
	d.apply(op{Kind: syncDir})
	if all := d.after(nothing()); len(all) != 2 || len(all["b"].Data) != 3*sector {
		t.Errorf("with the names: %v", all)
	}
	d.apply(op{Kind: write, Path: "b", Off: sector, Data: bytes.Repeat([]byte("y"), 2*sector)})
	half := choice{yes, everything().change, func(_ *inode, _ int, off int64) bool { return off == 2*sector }}
	if got := d.after(half)["b"].Data; !bytes.Equal(got, append(bytes.Repeat([]byte("x"), 2*sector), bytes.Repeat([]byte("y"), sector)...)) {
		t.Errorf("torn: %q", got)
	}
	d.apply(op{Kind: write, Path: "b", Data: []byte("z"), Synced: true})
	if got := d.after(nothing())["b"].Data; got[0] != 'z' || got[sector] != 'x' {
		t.Errorf("synced by itself: %q", got)
	}
}
