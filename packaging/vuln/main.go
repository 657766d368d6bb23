// Vuln asks govulncheck whether programs call anything that Go's database of
// vulnerabilities knows of.
//
//	vuln -govulncheck PROGRAM [-db URL] [-accepted FILE] PACKAGE...
//
// What to know before trusting it: without -db it takes the database of the Go project,
// and where that cannot be reached, what the Go module proxy has of it (the module
// golang.org/x/vulndb, which can be some days behind). Where neither can be had it says
// that nothing was checked, and ends with 0: a network that is down is no finding. A
// finding is a function with a known vulnerability that the programs call; it ends with 1
// unless the file of accepted ones names it, with a reason. A line of that file that is
// not found ends with 1 too.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// official is the database that the Go project keeps.
const official = "https://vuln.go.dev"

// module is the same database as the Go module proxy has it.
const module = "golang.org/x/vulndb"

func main() {
	r := request{official: official, module: module}
	flag.StringVar(&r.program, "govulncheck", "govulncheck", "the program")
	flag.StringVar(&r.db, "db", "", "the database; without it the one that can be reached")
	flag.StringVar(&r.accepted, "accepted", "", "a file of findings that are accepted: on each line an ID and why")
	flag.Parse()
	if err := r.run(context.Background(), os.Stdout, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "vuln: %v\n", err)
		os.Exit(1)
	}
}

// A request says what is run, and where the database may be.
type request struct {
	program, db, accepted string
	official, module      string // where a database is looked for, if db is empty
}

// run checks packages and says what came of it.
func (r request) run(ctx context.Context, to io.Writer, packages []string) error {
	reasons, err := readAccepted(r.accepted)
	if err != nil {
		return err
	}
	db := r.db
	if db == "" {
		var why error
		if db, why = reachable(ctx, r.official, r.module); why != nil {
			fmt.Fprintf(to, "NOT CHECKED for known vulnerabilities: no database can be reached: %v\n", why)
			return nil
		}
	}
	found, err := check(ctx, to, r.program, db, packages)
	if err != nil {
		return err
	}
	return judge(to, found, reasons)
}

// reachable returns the URL of a database that answers: the official one, or a module
// that holds one as Go's proxy has it.
func reachable(ctx context.Context, url, module string) (string, error) {
	asked, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	first := answers(asked, url+"/index/db.json")
	if first == nil {
		return url, nil
	}
	fetch, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(fetch, "go", "mod", "download", "-json", module+"@latest")
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if decode := json.Unmarshal(out, &got); err == nil {
		err = decode
	}
	if got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		return "", errors.Join(first, fmt.Errorf("download module %q: %w", module, err))
	}
	return "file://" + filepath.Join(got.Dir, "data", "osv"), nil
}

// answers returns nil if there is something at the URL.
func answers(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("get %q: %s", url, res.Status)
	}
	return nil
}

// A message is one of "govulncheck -format json": golang.org/x/vuln/internal/govulncheck.
type message struct {
	Config *struct {
		Go string `json:"go_version"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV   string  `json:"osv"`
		Fixed string  `json:"fixed_version"`
		Trace []frame `json:"trace"`
	} `json:"finding"`
}

// A frame is one of the calls that lead to a vulnerable function, that one first.
type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
}

// check returns what is called, by ID, in words.
func check(ctx context.Context, to io.Writer, program, db string, packages []string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{"-format", "json", "-db", db}, packages...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %q: %w: %s", program, err, strings.TrimSpace(said.String()))
	}
	summaries, found := map[string]string{}, map[string]string{}
	for stream := json.NewDecoder(bytes.NewReader(out)); ; {
		var m message
		if err := stream.Decode(&m); errors.Is(err, io.EOF) {
			return found, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what %q says: %w", program, err)
		}
		switch {
		case m.Config != nil:
			fmt.Fprintf(to, "known vulnerabilities: %s, by %s\n", m.Config.Go, db)
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "":
			at := m.Finding.Trace[0]
			name := strings.TrimPrefix(at.Receiver+"."+at.Function, ".")
			fixed := cmp.Or(m.Finding.Fixed, "nothing yet")
			found[m.Finding.OSV] = fmt.Sprintf("%s: %s.%s is called (%s@%s, mended in %s)",
				summaries[m.Finding.OSV], at.Package, name, at.Module, at.Version, fixed)
		}
	}
}

// judge holds what was found to what is accepted.
func judge(to io.Writer, found, reasons map[string]string) error {
	bad := 0
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if why, ok := reasons[id]; ok {
			fmt.Fprintf(to, "accepted %s: %s\n", id, why)
			continue
		}
		bad++
		fmt.Fprintf(to, "%s/ID/%s.json\n  %s\n", official, id, found[id])
	}
	for _, id := range slices.Sorted(maps.Keys(reasons)) {
		if found[id] == "" {
			bad++
			fmt.Fprintf(to, "%s is accepted and not found: delete its line\n", id)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of what is above is to be mended, or accepted with a reason", bad)
	}
	if len(found) == 0 {
		fmt.Fprintln(to, "none is called")
	}
	return nil
}

// readAccepted reads the IDs that are accepted and why. Lines that begin with "#" say
// something to people.
func readAccepted(path string) (map[string]string, error) {
	reasons := map[string]string{}
	if path == "" {
		return reasons, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, why, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(id, "GO-") || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%s:%d: not an ID like GO-2026-1234 and a reason", path, n)
		}
		reasons[id] = strings.TrimSpace(why)
	}
	return reasons, lines.Err()
}
