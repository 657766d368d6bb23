package nss

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// configured makes text what nsswitch.conf holds.
func configured(t *testing.T, text string) {
	t.Helper()
	holds(t, &configFile, text)
}

func TestSources(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		db   database
		want string // an asterisk is behind a source that is asked last
	}{
		"plain":                {"passwd: files sss systemd\n", passwd, "files sss systemd"},
		"tabs and comments":    {"# passwd: x\n\tpasswd :\tfiles\tsss # ldap\n", passwd, "files sss"},
		"another database":     {"group: files\npasswd_compat: nis\nshadow: files\npasswd: sss\n", passwd, "sss"},
		"the last line counts": {"group: files\npasswd: files\ngroup: files sss\n", group, "files sss"},
		"none of it":           {"hosts: dns\n", passwd, "files"},
		"nothing":              {"", group, "files"},
		"empty line":           {"passwd:\n", passwd, ""},
		"groups of an account": {"group: files sss\n", initgroups, "files sss"},
		"their own line":       {"group: files\ninitgroups: sss\n", initgroups, "sss"},
		"return":               {"passwd: sss [NOTFOUND=return] files\n", passwd, "sss* files"},
		"return, glued":        {"passwd: sss[notfound=Return]files\n", passwd, "sss* files"},
		"return on others":     {"passwd: sss [UNAVAIL=return SUCCESS=return] files\n", passwd, "sss files"},
		"all but":              {"passwd: sss [!UNAVAIL=return] files\n", passwd, "sss* files"},
		"all but that":         {"passwd: sss [!NOTFOUND=return] files\n", passwd, "sss files"},
		"the last word":        {"passwd: sss [!UNAVAIL=return NOTFOUND=continue] files\n", passwd, "sss files"},
		"merge":                {"group: files [SUCCESS=merge] sss\n", group, "files sss"},
		"never closed":         {"passwd: sss [NOTFOUND=return\n", passwd, "sss*"},
		"nobody before":        {"passwd: [NOTFOUND=return] files\n", passwd, "files"},
	} {
		t.Run(name, func(t *testing.T) {
			configured(t, tc.text)
			all, err := sources(tc.db)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range all {
				if s.last {
					s.name += "*"
				}
				got = append(got, s.name)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	configFile = filepath.Join(t.TempDir(), "gone")
	if all, err := sources(passwd); err != nil || len(all) != 1 || all[0].name != "files" {
		t.Errorf("without the file: %v %v", all, err)
	}
	configFile = t.TempDir()
	if all, err := sources(passwd); err == nil {
		t.Errorf("with a file that cannot be read: %v", all)
	}
}

// Each source is asked, and one that is not installed is passed over.
func TestEachSourceIsAsked(t *testing.T) {
	configured(t, "passwd: files not-installed-here\ngroup: not-installed-here files\n")
	ghost := question{db: passwd, function: "getpwnam_r", name: "no-such-user-here"}
	if err := ghost.noneBut(); err != nil {
		t.Errorf("nobody: %v", err)
	}
	for _, q := range []question{
		{db: passwd, function: "getpwnam_r", name: "root"},
		{db: passwd, function: "getpwuid_r", id: 0},
		{db: group, function: "getgrnam_r", name: "root"},
	} {
		if err := q.noneBut(); err == nil || !strings.Contains(err.Error(), "knows it") {
			t.Errorf("%+v: %v", q, err)
		}
		if err := q.answered(); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if status, err := ghost.ask("not-installed-here"); !errors.Is(err, errAbsent) {
		t.Errorf("%d %v", status, err)
	}
	configured(t, "passwd: not-installed-here [NOTFOUND=return] files\n")
	if err := (question{db: passwd, function: "getpwnam_r", name: "root"}).noneBut(); err == nil {
		t.Error("what stands behind a source that is not installed is not asked")
	}
}

func TestWhole(t *testing.T) {
	var groups Groups
	for _, group := range []string{"root", "no-such-group-here"} {
		if err := groups.Whole(t.Context(), "root", group); err != nil {
			t.Errorf("%s: %v", group, err)
		}
	}
	if err := groups.Whole(t.Context(), "root\x00", "root"); err == nil {
		t.Error("a name that is none has groups")
	}
}

// A source that hangs holds one look-up for a name, and nobody longer than they
// want to wait.
func TestWaitingEnds(t *testing.T) {
	release, begun := make(chan struct{}), make(chan struct{}, 10)
	look := func() (string, error) {
		begun <- struct{}{}
		<-release
		return "found", nil
	}
	got := make(chan string, 1)
	go func() {
		s, _ := wait(t.Context(), "somebody", look)
		got <- s
	}()
	<-begun
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the client is gone"))
	for range 5 {
		if s, err := wait(gone, "somebody", look); err == nil || !strings.Contains(err.Error(), "the client is gone") {
			t.Errorf("%q %v", s, err)
		}
	}
	if s, err := wait(t.Context(), "another", func() (string, error) { return "there", nil }); err != nil || s != "there" {
		t.Errorf("another meanwhile: %q %v", s, err)
	}
	close(release)
	if s := <-got; s != "found" {
		t.Errorf("%q", s)
	}
	if n := len(begun); n != 0 {
		t.Errorf("%d more look-ups of one name", n)
	}
	if s, err := wait(t.Context(), "somebody", func() (string, error) { return "anew", nil }); err != nil || !slices.Contains([]string{"anew", "found"}, s) {
		t.Errorf("afterwards: %q %v", s, err)
	}
}

// FuzzSources: whatever stands in nsswitch.conf names sources, and none with
// blanks or brackets in it.
func FuzzSources(f *testing.F) {
	f.Add("files sss [NOTFOUND=return] ldap")
	f.Add("[[]]a[!=]b[")
	f.Fuzz(func(t *testing.T, line string) {
		for _, s := range parseSources(line) {
			if s.name == "" || strings.ContainsAny(s.name, " \t[") {
				t.Errorf("%q", s.name)
			}
		}
	})
}
