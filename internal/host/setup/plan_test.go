package setup

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"mfa/internal/host/doctor"
)

var update = flag.Bool("update", false, "write the diffs of testdata anew")

// machine returns the files of a txtar archive.
func machine(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata/plan", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := fstest.MapFS{}
	for _, f := range a.Files {
		root[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	return root
}

// TestPlans holds what is planned for distributions as they come to diffs that were
// read by people, and to doctor.
func TestPlans(t *testing.T) {
	for name, o := range map[string]Options{
		"debian sshd":     {Service: "sshd", First: Password, Socket: defaultSocket},
		"debian sshd key": {Service: "sshd", First: Key, Socket: "/run/other/pam.sock"},
		"debian sudo":     {Service: "sudo", First: Password, Socket: defaultSocket},
		"debian su":       {Service: "su", First: Password, Socket: defaultSocket},
		"debian login":    {Service: "login", First: Password, Socket: defaultSocket},
		"fedora sshd":     {Service: "sshd", First: Password, Socket: defaultSocket},
		"fedora sudo":     {Service: "sudo", First: Password, Socket: defaultSocket},
		"fedora su":       {Service: "su", First: Password, Socket: defaultSocket},
		"alpine sshd":     {Service: "sshd", First: Password, Socket: defaultSocket, OldSSHD: true},
		"own-line sshd":   {Service: "sshd", First: Password, Socket: defaultSocket},

		"debian sshd one-line":    {Service: "sshd", First: Password, OneLine: true, Socket: defaultSocket},
		"debian openvpn one-line": {Service: "openvpn", First: Password, OneLine: true, Socket: "/run/other/pam.sock"},
		"fedora sshd one-line":    {Service: "sshd", First: Password, OneLine: true, Socket: defaultSocket},
		"own-line sshd one-line":  {Service: "sshd", First: Password, OneLine: true, Socket: defaultSocket},
	} {
		t.Run(name, func(t *testing.T) {
			archive, _, _ := strings.Cut(name, " ")
			root := machine(t, archive)
			changes, err := Make(root, o)
			if err != nil {
				t.Fatal(err)
			}
			var diff strings.Builder
			for _, c := range changes {
				diff.WriteString(c.Diff())
				root[c.Path[1:]] = &fstest.MapFile{Data: c.After, Mode: 0o644}
			}
			compare(t, filepath.Join("testdata/plan", strings.ReplaceAll(name, " ", "-")+".diff"), diff.String())
			st := doctor.ExamineStack(root, o.Service)
			for _, f := range st.Found {
				if f.Severity != doctor.OK {
					t.Errorf("doctor finds %+v", f)
				}
			}
			if _, err := Make(root, o); !errors.Is(err, ErrAlready) {
				t.Errorf("planned once more: %v", err)
			}
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
}

// A change that cannot be planned so that it surely works is refused.
func TestNoPlan(t *testing.T) {
	for name, tc := range map[string]struct {
		file, say string
		o         Options
	}{
		"no such service":  {"", "there is no /etc/pam.d/sudo", Options{Service: "sudo"}},
		"there, but wrong": {"auth required pam_unix.so\nauth optional pam_mfa.so\n", "not as it should", Options{Service: "sudo"}},
		"no first factor":  {"auth required pam_permit.so\n", "no line of it", Options{Service: "sudo"}},
		"joined lines":     {"auth required \\\npam_unix.so\n", "goes on", Options{Service: "sudo"}},
		"nobody gets in":   {"auth required pam_unix.so\nauth required pam_deny.so\n", "no way of writing", Options{Service: "sudo"}},
		"already open":     {"auth sufficient pam_permit.so\nauth required pam_unix.so\n", "no way of writing", Options{Service: "sudo"}},
		"key for sudo":     {"auth required pam_unix.so\n", "only sshd", Options{Service: "sudo", First: Key}},
		"key in one line":  {"auth required pam_unix.so\n", "a password", Options{Service: "sshd", First: Key, OneLine: true}},
		"asks for itself":  {"auth required pam_fprintd.so\n", "pam_fprintd.so takes no password", Options{Service: "vpn", OneLine: true}},
		"asks already":     {"auth requisite pam_unix.so\nauth required pam_mfa.so\n", "asks for the code; take that back", Options{Service: "sshd", OneLine: true}},
		"one line already": {
			"auth required pam_mfa.so split\nauth requisite pam_unix.so use_first_pass\nauth required pam_mfa.so\n", "in one line with the password",
			Options{Service: "sshd"},
		},
		"no file to go by":  {"", "neither /etc/pam.d/common-auth nor system-auth", Options{Service: "vpn", OneLine: true}},
		"for another first": {"auth requisite pam_unix.so\nauth required pam_mfa.so\n", "another first factor", Options{Service: "sshd", First: Key}},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{"etc/pam.d/other": {Data: []byte("auth required pam_deny.so\n")}}
			if tc.file != "" {
				root["etc/pam.d/"+tc.o.Service] = &fstest.MapFile{Data: []byte(tc.file)}
			}
			if tc.o.First == "" {
				tc.o.First = Password
			}
			tc.o.Socket = defaultSocket
			changes, err := Make(root, tc.o)
			if err == nil || errors.Is(err, ErrAlready) || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("planned %+v, %v; want an error with %q", changes, err, tc.say)
			}
		})
	}
}

// What a program asks by with an option is set up with it, if PAM has a file for it, wherever that is.
func TestAllServices(t *testing.T) {
	root := fstest.MapFS{
		"etc/pam.d/sudo":       {},
		"usr/lib/pam.d/sudo-i": {},
		"etc/pam.d/su":         {},
	}
	for service, want := range map[string]string{"sudo": "sudo sudo-i", "su": "su", "sshd": "sshd"} {
		if got := strings.Join(AllServices(root, service), " "); got != want {
			t.Errorf("%s: %q, want %q", service, got, want)
		}
	}
}
