package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A few logins of every kind, as "make bench" measures many: what is measured is there,
// in the tables and in the plot.
func TestBench(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to have namespaces of its own")
		}
		t.Skip("needs root, to have namespaces of its own")
	}
	dir := t.TempDir()
	program, out := filepath.Join(dir, "bench"), filepath.Join(dir, "out")
	if said, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	cmd := exec.Command(program, "-rounds", "1", "-logins", "3", "-users", "5", "-guesses", "20",
		"-mails", "3", "-window", "100ms", "-memory", "-out", out)
	cmd.Dir = ".."
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	results, err := readResults(out)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		found := results.find(g.name)
		if found == nil || len(found.Rows) == 0 || !strings.Contains(string(readme), "## "+g.title) {
			t.Errorf("%s was not measured: %v", g.name, found)
		}
	}
	if warm := results.find("serial").median(rowWarm); warm <= results.find("serial").median(rowEmpty) {
		t.Errorf("a login takes %v µs, no more than an empty stack", warm)
	}
	isXML(t, filepath.Join(out, "bench.svg"))
}

// isXML ends the test unless a file is well-formed XML with bars in it.
func isXML(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bars := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	if bars < 20 {
		t.Errorf("%d bars", bars)
	}
}

// A file system in memory is refused, with words.
func TestNoDisk(t *testing.T) {
	if dir, err := diskFolder("/dev/shm", false); err == nil || !strings.Contains(err.Error(), "tmpfs") {
		t.Errorf("%q, %v", dir, err)
	}
}

func TestSample(t *testing.T) {
	s, base := samples{}, samples{}
	for round, values := range [][]float64{{1, 2, 9}, {4, 5, 6}} {
		for _, v := range values {
			s.add("a", round, v)
			base.add("a", round, 2*v)
		}
	}
	r := s["a"].row("a", "µs")
	if r.Median != 5 && r.Median != 4 || r.Low != 2 || r.High != 5 || r.N != 6 {
		t.Errorf("%+v", r)
	}
	if got := s["a"].over(base["a"]); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("ratio %v", got)
	}
}

func TestShares(t *testing.T) {
	found, total := sharesOf(`Type: cpu
-----------+-------------------------------------------------------
      10ms   runtime.scanobject
             runtime.gcDrain
-----------+-------------------------------------------------------
      20ms   runtime.mapaccess1
             github.com/BurntSushi/toml.Decode (inline)
             mfa/internal/account/record.DecodeEnrollment
-----------+-------------------------------------------------------
      30ms   runtime.futex
             runtime.schedule
-----------+-------------------------------------------------------
`)
	if total < 0.059 || found["collector"] < 0.009 || found["TOML"] < 0.019 || found["scheduler"] < 0.029 {
		t.Errorf("%v of %v", found, total)
	}
}

func TestReach(t *testing.T) {
	var g Group
	g.mustNotExceed("time", "≤ 1", 1, 1)
	g.mustNotExceed("time", "≤ 1", 1.01, 1)
	g.mustReach("rate", "≥ 2", 2, 2)
	g.mustReach("rate", "≥ 2", 1.9, 2)
	for i, want := range []bool{true, false, true, false} {
		if g.Reach[i].Reached != want {
			t.Errorf("%d: %+v", i, g.Reach[i])
		}
	}
}
