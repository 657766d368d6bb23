package doctor

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// archive returns the files of a txtar archive as a root folder.
func archive(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	root := fstest.MapFS{}
	for _, f := range a.Files {
		root[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	return root
}

// TestStacks holds the folder of stacks to what their files "expect" say: a
// service and the ids of what is wrong with it, and what a login goes through.
func TestStacks(t *testing.T) {
	names, err := filepath.Glob("testdata/stacks/*/*.txtar")
	if err != nil || len(names) < 40 {
		t.Fatalf("%d stacks: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(filepath.Dir(name))+"/"+strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			root := archive(t, name)
			for line := range strings.Lines(string(root["expect"].Data)) {
				head, want, _ := strings.Cut(strings.TrimSpace(line), ":")
				want = strings.TrimSpace(want)
				service, goes := strings.CutSuffix(head, " goes")
				st := ExamineStack(root, service)
				if goes {
					if st.Login.Goes != want {
						t.Errorf("%s goes through %q, want %q", service, st.Login.Goes, want)
					}
					continue
				}
				expectIDs(t, service, st.Found, strings.Fields(want))
			}
		})
	}
}

// expectIDs holds findings that are not ok to a list of ids, in any order.
func expectIDs(t *testing.T, what string, found []Finding, want []string) {
	t.Helper()
	var got []string
	for _, f := range found {
		if f.Severity != OK {
			got = append(got, f.ID)
		}
		if f.Where == "" || f.What == "" || f.Severity != OK && f.Mend == "" {
			t.Errorf("%s: a finding that does not say all: %+v", what, f)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: found %v, want %v\n%+v", what, got, want, found)
	}
}
