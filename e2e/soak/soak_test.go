package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A soak of seconds finds nothing; "make soak" runs for two hours.
func TestSoak(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to have namespaces of its own")
		}
		t.Skip("needs root, to have namespaces of its own")
	}
	dir := t.TempDir()
	for _, name := range []string{"mfad", "mfactl", "e2e/soak"} {
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, filepath.Base(name)), "mfa/"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	out := filepath.Join(dir, "out")
	cmd := exec.Command(filepath.Join(dir, "soak"), "-for", "15s", "-users", "500", "-rate", "10", "-programs", dir, "-out", out)
	said, err := cmd.CombinedOutput()
	t.Logf("%s", said)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(out, "mfad.log"))
		events, _ := os.ReadFile(filepath.Join(out, "events.jsonl"))
		t.Fatalf("%v; last came:\n%s\nmfad said last:\n%s", err, events[max(0, len(events)-4000):], log[max(0, len(log)-4000):])
	}
	r, err := read(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stories {
		if r.stories[s.name] == 0 && s.weight >= 5 {
			t.Errorf("nobody was in the story %q", s.name)
		}
	}
	for _, what := range []string{"stop", "reload", "rotate", "carriers", "mfactl key", "mfactl backup"} {
		if len(r.events[what]) == 0 {
			t.Errorf("no %s happened", what)
		}
	}
	isXML(t, r.plot())
}

// isXML ends the test unless a text is well-formed.
func isXML(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// began is when the runs of tests began.
var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// leave writes what a run of two hours leaves: its samples, the logins and their lines.
func leave(t *testing.T, samples []sample, events []event, visits []visit, lines ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name string, all ...any) {
		var b bytes.Buffer
		for _, v := range all {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(text, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("run.json", plan{For: (2 * time.Hour).Seconds(), Users: 1000, Began: began})
	write("samples.jsonl", anys(samples)...)
	write("events.jsonl", anys(events)...)
	write("logins.jsonl", anys(visits)...)
	if err := os.WriteFile(filepath.Join(dir, "audit-000.jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func anys[T any](all []T) (any []any) {
	for _, v := range all {
		any = append(any, v)
	}
	return any
}

// level are samples of a run of two hours in which nothing grows, but what change says.
func level(change func(s *sample, n int)) (all []sample) {
	const most = 240
	for n := range most {
		s := sample{
			Rest: n == 0 || n == most-1, At: float64(n) * 30, RSS: 100 * mib, NextGC: 50 * mib, Goroutines: 30, Threads: 12, FDs: 30,
			StoreFiles: 10_000, StoreBytes: 30 * mib, State: 8 * mib, OtherFiles: 10,
		}
		change(&s, n)
		all = append(all, s)
	}
	return all
}

func accepted(n int64) visit {
	return visit{N: n, User: "alice", Began: began, End: done, Outcome: "accepted"}
}

func line1(n int64, outcome string) string {
	return fmt.Sprintf(`{"event":"login","user":"alice","tty":"soak-%d","outcome":%q}`, n, outcome)
}

// A measure that grows is found, and one that does not is not.
func TestGrowth(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *sample, n int)
		want   string // the measure that grew
	}{
		"nothing": {func(*sample, int) {}, ""},
		"up and down": {func(s *sample, n int) {
			s.RSS += float64(n%7) * 10 * mib
			if !s.Rest {
				s.Underway = float64(n % 11 * 4)
				s.Goroutines += s.Underway * 5
			}
		}, ""},
		"set back by restarts": {func(s *sample, n int) { s.RSS -= 20 * mib * max(0, 1-float64(n%10)/5) }, ""},
		"a goroutine a login":  {func(s *sample, n int) { s.Goroutines += float64(n) * 600 }, "goroutines"},
		"files that stay open": {func(s *sample, n int) { s.FDs += float64(n) / 2 }, "open files"},
		"memory":               {func(s *sample, n int) { s.RSS += float64(n) * mib }, "resident memory"},
		"heap":                 {func(s *sample, n int) { s.NextGC += float64(n) * mib / 2 }, "heap at the next collection"},
		"threads":              {func(s *sample, n int) { s.Threads += float64(n) / 10 }, "threads"},
		"state":                {func(s *sample, n int) { s.State += float64(n) * mib / 30 }, "state.db"},
		"bytes":                {func(s *sample, n int) { s.StoreBytes += float64(n) * mib / 10 }, "bytes in the store"},
		"files":                {func(s *sample, n int) { s.StoreFiles += float64(n) / 3 }, "files in the store"},
		"what lies around":     {func(s *sample, n int) { s.OtherFiles += float64(n) / 30 }, "other files"},
	} {
		grew := map[string]bool{}
		for _, g := range growths(level(test.change), 2*time.Hour) {
			if g.grew() {
				grew[g.name] = true
			}
		}
		if grew[test.want] != (test.want != "") || len(grew) > 1 || len(grew) == 1 && test.want == "" {
			t.Errorf("%s: %v", name, grew)
		}
	}
}

// A run that was not measured is not a good one.
func TestNothingMeasured(t *testing.T) {
	if code := run([]string{"-report", leave(t, nil, nil, nil)}, io.Discard); code != 1 {
		t.Errorf("status %d", code)
	}
}

// Every login has one line that says what its client saw.
func TestReckoning(t *testing.T) {
	gone := visit{N: 1, User: "alice", Began: began, Took: time.Second, End: left}
	cut := visit{N: 1, User: "alice", Began: began, Took: time.Second, End: lost}
	wrong := accepted(1)
	wrong.Wrong = 2
	failed := `{"event":"factor.failed","user":"alice"}`
	recovery := `{"event":"recovery.failed","user":"alice"}`
	kill := []event{{At: 0.5, What: "kill", Took: 1}}
	refused := visit{N: 1, User: "alice", Began: began, Took: 20 * time.Second, End: done, Outcome: "unavailable", Strange: unwanted}
	for name, test := range map[string]struct {
		visits []visit
		events []event
		lines  []string
		want   string // in the one fault
	}{
		"agrees":            {visits: []visit{accepted(1)}, lines: []string{line1(1, "accepted")}},
		"no line":           {visits: []visit{accepted(1)}, want: `ended with accepted, and the audit file has ""`},
		"two lines":         {visits: []visit{accepted(1)}, lines: []string{line1(1, "accepted"), line1(1, "accepted")}, want: "two lines"},
		"another line":      {visits: []visit{accepted(1)}, lines: []string{line1(1, "exhausted")}, want: `the audit file has "exhausted"`},
		"nobody's line":     {visits: []visit{accepted(1)}, lines: []string{line1(1, "accepted"), line1(2, "accepted")}, want: "no client knows"},
		"no terminal":       {lines: []string{`{"event":"login","outcome":"unavailable"}`}, want: "nobody made"},
		"went away":         {visits: []visit{gone}, lines: []string{line1(1, "no_conversation")}},
		"unseen":            {visits: []visit{gone}, want: "does not know"},
		"unseen, killed":    {visits: []visit{gone}, events: kill},
		"let in unseen":     {visits: []visit{gone}, lines: []string{line1(1, "accepted")}, want: "went away, and the audit file has accepted"},
		"cut off":           {visits: []visit{cut}, events: kill},
		"cut off, one line": {visits: []visit{cut}, lines: []string{line1(1, "accepted")}, events: kill},
		"wrong codes":       {visits: []visit{wrong}, lines: []string{line1(1, "accepted"), failed, failed}},
		"one wrong code":    {visits: []visit{wrong}, lines: []string{line1(1, "accepted"), failed}, want: "heard of 2 wrong codes, and the audit file has 1"},
		"recovery code":     {visits: []visit{wrong}, lines: []string{line1(1, "accepted"), failed, recovery, recovery}},
		"a fault":           {events: []event{{What: "mfactl backup", Fault: "exit status 1"}}, want: "exit status 1"},
		"gave up":           {events: []event{{What: "mfactl key", Took: 40, Fault: gaveUp}}, want: gaveUp},
		"gave up, stalled":  {events: []event{{What: "mfactl key", Took: 40, Fault: gaveUp}, {At: 10, What: stall, Took: 5}}},
		"somebody new":      {events: []event{{What: "mfactl show", Fault: `user "soak00007" is not enrolled`}}},
		"the disk stalled":  {visits: []visit{refused}, lines: []string{line1(1, "unavailable")}, events: []event{{At: 3, What: stall, Took: 15}}},
		"refused":           {visits: []visit{refused}, lines: []string{line1(1, "unavailable")}, events: []event{{At: 30, What: stall, Took: 15}}, want: unwanted},
		"strange":           {visits: []visit{{N: 1, End: unreached, Strange: "cut off"}}, want: "cut off"},
	} {
		dir := leave(t, level(func(*sample, int) {}), test.events, test.visits, test.lines...)
		r, err := read(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		good := test.want == ""
		if good != (len(r.faults) == 0) || !good && (len(r.faults) != 1 || !strings.Contains(r.faults[0], test.want)) {
			t.Errorf("%s: %q", name, r.faults)
		}
		var said bytes.Buffer
		if code := run([]string{"-report", dir}, &said); (code == 0) != good {
			t.Errorf("%s: status %d\n%s", name, code, said.String())
		}
	}
}

// The document keeps what is written by hand.
func TestDocument(t *testing.T) {
	docs := t.TempDir()
	text, err := os.ReadFile("../../docs/soak.md")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(docs, "soak.md")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := leave(t, level(func(*sample, int) {}), nil, []visit{accepted(1)}, line1(1, "accepted"))
	if code := run([]string{"-report", dir, "-docs", docs}, io.Discard); code != 0 {
		t.Fatalf("status %d", code)
	}
	changed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{figuresBegin, figuresEnd} {
		before, _, _ := strings.Cut(string(text), figuresBegin)
		if !strings.HasPrefix(string(changed), before) || strings.Count(string(changed), part) != 1 {
			t.Errorf("the document is now\n%s", changed)
		}
	}
	if !strings.Contains(string(changed), "| accepted | 1 | 1 |") {
		t.Errorf("no figures:\n%s", changed)
	}
	svg, err := os.ReadFile(filepath.Join(docs, "soak.svg"))
	if err != nil {
		t.Fatal(err)
	}
	isXML(t, string(svg))
}

// The weights say how often a story is told, and each has its people.
func TestStories(t *testing.T) {
	p := newPeople(2000)
	for _, s := range stories {
		if u := p.take(s.kind); u == nil || s.weight <= 0 {
			t.Errorf("%s: %v, weight %v", s.name, u, s.weight)
		}
	}
	names := []string{}
	for _, u := range p.all {
		names = append(names, u.name, u.mail(), u.phone(), u.place)
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != 4*len(p.all) {
		t.Errorf("%d names, addresses, numbers and places of %d users", n, len(p.all))
	}
}

// The file of a database is larger than what is used of it.
func TestUsed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state.db")
	db, err := bolt.Open(name, 0o600, &bolt.Options{PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	for n := range 5 {
		err := db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("state"))
			if err != nil {
				return err
			}
			return b.Put([]byte{byte(n)}, make([]byte, 100_000))
		})
		if err == nil {
			err = db.View(func(tx *bolt.Tx) error { want = tx.Size(); return nil })
		}
		info, statErr := os.Stat(name)
		if err := errors.Join(err, statErr); err != nil {
			t.Fatal(err)
		}
		if got := used(name, float64(info.Size())); got != float64(want) {
			t.Errorf("%v bytes are used, want %d of %d", got, want, info.Size())
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := used(filepath.Join(t.TempDir(), "nothing"), 7); got != 7 {
		t.Errorf("of no file %v bytes are used", got)
	}
}
