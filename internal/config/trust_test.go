package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every file that decides is held to what mfa.toml is held to, and its folders too.
func TestFilesThatDecide(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("as no root: files of others are not tried")
	}
	const program = "#!/bin/sh\nexit 0\n"
	for name, spoil := range map[string]func(dir, file string) error{
		"the file, by the group":  func(_, file string) error { return os.Chmod(file, 0o770) },
		"the file, by others":     func(_, file string) error { return os.Chmod(file, 0o757) },
		"its folder":              func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "a", "b"), 0o777) },
		"its folder, sticky":      func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "a", "b"), 0o777|os.ModeSticky) },
		"a folder further up":     func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "a"), 0o770) },
		"the owner of the file":   func(_, file string) error { return os.Chown(file, 54321, 0) },
		"the owner of the folder": func(dir, _ string) error { return os.Chown(filepath.Join(dir, "a"), 54321, 0) },
		"a link's folder": func(dir, file string) error {
			open := filepath.Join(dir, "open")
			return errors.Join(os.Rename(file, filepath.Join(dir, "real")), os.Mkdir(open, 0o755), os.Chmod(open, 0o777),
				os.Symlink(filepath.Join(dir, "real"), filepath.Join(open, "file")), os.Symlink(filepath.Join(open, "file"), file))
		},
	} {
		for key, settings := range map[string]string{
			"sms.command.path":            "[sms]\nprovider = \"command\"\n[sms.command]\npath = %q\n",
			"contacts.command.path":       "[contacts]\nsource = \"command\"\n[contacts.command]\npath = %q\n",
			"contacts.command.args":       "[contacts]\nsource = \"command\"\n[contacts.command]\npath = \"/bin/sh\"\nargs = [\"--x=%s\", \"{{.User}}\"]\n",
			"contacts.ldap.password_file": "[contacts.ldap]\nbind_dn = \"cn=mfa\"\npassword_file = %q\n",
			"contacts.ldap.ca_file":       "[contacts.ldap]\nca_file = %q\n",
			"email.sendmail.path":         "[email]\ntransport = \"sendmail\"\n[email.sendmail]\npath = %q\n",
			"email.smtp.password_file":    "[email.smtp]\nusername = \"u\"\ntls = \"starttls\"\npassword_file = %q\n",
			"email.templates":             "[email]\ntemplates = \"%d\"\n",
			"secrets.key_file":            "[secrets]\nkey_file = %q\n",
			"sms.http.headers.X": "[sms]\nprovider = \"http\"\n[sms.http]\nurl = \"https://example.com/\"\nbody = \"{{.To}} {{.Text}}\"\n" +
				"[sms.http.headers]\nX = '{{file \"%s\"}}'\n",
			"sms.http.url":     "[sms]\nprovider = \"http\"\n[sms.http]\nurl = 'https://example.com/{{if .To}}{{\"%s\" | file}}{{end}}'\n",
			"sms.http.body":    "[sms]\nprovider = \"http\"\n[sms.http]\nurl = \"https://example.com/\"\nbody = '{{json (file \"%s\")}} {{.To}} {{.Text}}'\n",
			"sms.command.args": "[sms]\nprovider = \"command\"\n[sms.command]\npath = \"/bin/sh\"\nargs = [\"--x=%s\", \"{{.To}}\"]\n",
		} {
			if key == "secrets.key_file" && (strings.Contains(name, "the file") || strings.Contains(name, "link")) {
				continue // seal refuses that
			}
			t.Run(name+" of "+key, func(t *testing.T) {
				dir := t.TempDir()
				file := filepath.Join(dir, "a", "b", "file")
				ok(t, os.MkdirAll(filepath.Dir(file), 0o755))
				ok(t, os.WriteFile(file, []byte(program), 0o755))
				path := filepath.Join(dir, "mfa.toml")
				text := strings.ReplaceAll(strings.ReplaceAll(settings, "%q", `"`+file+`"`), "%s", file)
				text = strings.ReplaceAll(text, "%d", filepath.Dir(file))
				ok(t, os.WriteFile(path, []byte(text), 0o600))
				if _, err := Load(path); err != nil {
					t.Fatalf("before it is spoilt: %v", err)
				}
				if err := spoil(dir, file); errors.Is(err, os.ErrPermission) {
					return // no root
				} else if err != nil {
					t.Fatal(err)
				}
				_, err := Load(path)
				if err == nil || !strings.Contains(err.Error(), key+": ") || !strings.Contains(err.Error(), "mend it with: ch") {
					t.Errorf("%v, want a refusal that names %s and says how to mend it", err, key)
				}
			})
		}
	}
}

func TestFolderOfTheConfiguration(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etc")
	ok(t, os.Mkdir(dir, 0o755))
	path := filepath.Join(dir, "mfa.toml")
	ok(t, os.WriteFile(path, nil, 0o600))
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	ok(t, os.Chmod(dir, 0o777))
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("%v, want a refusal", err)
	}
}

// The folders above those that the daemon writes are nobody else's either.
func TestFoldersAboveWhatIsWritten(t *testing.T) {
	for key, settings := range map[string]string{
		"store.path":        "[store]\npath = %q\n",
		"email.outbox.path": "[email]\ntransport = \"outbox\"\n[email.outbox]\npath = %q\n",
	} {
		t.Run(key, func(t *testing.T) {
			dir := t.TempDir()
			open := filepath.Join(dir, "open")
			ok(t, os.Mkdir(open, 0o755))
			path := filepath.Join(dir, "mfa.toml")
			text := strings.ReplaceAll(settings, "%q", `"`+filepath.Join(open, "a", "b")+`"`)
			ok(t, os.WriteFile(path, []byte(text), 0o600))
			for mode, good := range map[os.FileMode]bool{0o755: true, 0o777 | os.ModeSticky: true, 0o777: false, 0o775: false} {
				ok(t, os.Chmod(open, mode))
				_, err := Load(path)
				if good != (err == nil) || !good && !strings.Contains(err.Error(), key+": ") {
					t.Errorf("mode %v: %v", mode, err)
				}
			}
		})
	}
}

func TestFilesOfTemplates(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{{.To}}": "", "{{broken": "", `file "/a"`: "", `{{"/a"}}`: "",
		`{{file "/a"}}`:                    "/a",
		"{{file `/a`}}{{- file \"/b\" -}}": "/a /b",
		`{{"/a" | file | json}}`:           "/a",
		`{{json (file "/a")}}`:             "/a",
		`{{json ("/a" | file)}}`:           "/a",
		`{{if .To}}x{{else}}{{file "/a"}}{{end}}{{range .To}}{{file "/b"}}{{end}}`:           "/a /b",
		`{{with file "/a"}}{{.}}{{end}}`:                                                     "/a",
		`{{define "x"}}{{file "/a"}}{{end}}{{template "x"}}{{block "y" (file "/b")}}{{end}}`: "/a /b",
		`{{$p := "/a"}}{{file $p}}`:                                                          "error",
		`{{file (printf "/%s" "a")}}`:                                                        "error",
		`{{printf "/%s" "a" | file}}`:                                                        "error",
		`{{file .To}}`:                                                                       "error",
	} {
		paths, err := filesOf(text)
		slices.Sort(paths)
		got := strings.Join(paths, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestFilesThatAreNotUsedDecideNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "program")
	ok(t, os.WriteFile(file, nil, 0o755))
	ok(t, os.Chmod(file, 0o777))
	path := filepath.Join(dir, "mfa.toml")
	ok(t, os.WriteFile(path, []byte("[sms.command]\npath = \""+file+"\"\n"), 0o600))
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each secret that others can read is told with its mend, and what is none is not.
func TestExposed(t *testing.T) {
	dir, err := os.MkdirTemp("", "exposed")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := func(name string) string { return filepath.Join(dir, name) }
	err = os.Chmod(dir, 0o755) //nolint:gosec // that is what is tried
	for _, name := range []string{"smtp", "twilio", "api", "etcd", "ldap", "header", "ca"} {
		err = errors.Join(err, os.WriteFile(path(name), []byte("x\n"), 0o604)) //nolint:gosec // as above
	}
	err = errors.Join(err, os.WriteFile(path("mine"), []byte("x\n"), 0o640)) //nolint:gosec // as above
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Email.SMTP.PasswordFile, c.Email.SMTP.CAFile, c.SMS.Twilio.AuthTokenFile, c.SMS.Twilio.APISecretFile = path("smtp"), path("ca"), path("twilio"), path("mine")
	c.Store.Etcd.KeyFile, c.Contacts.LDAP.PasswordFile = path("etcd"), path("ldap")
	c.SMS.Provider, c.SMS.HTTP.Headers = "http", map[string]string{"Authorization": `Bearer {{file "` + path("header") + `"}}`}
	var want []Exposed
	for _, kf := range [][2]string{{"contacts.ldap.password_file", "ldap"}, {"email.smtp.password_file", "smtp"}, {"sms.http.headers.Authorization", "header"}, {"sms.twilio.auth_token_file", "twilio"}, {"store.etcd.key_file", "etcd"}} {
		want = append(want, Exposed{kf[0], path(kf[1])})
	}
	if got := c.Exposed(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Where store.path is not there, nothing tells whom mfad runs as: its folders are not to be given to
// root for that.
func TestFoldersOfAStoreThatIsNotThere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	own := filepath.Join(dir, "own")
	ok(t, os.Mkdir(own, 0o700))
	ok(t, os.Chown(own, 54321, 54321))
	path, at := filepath.Join(dir, "mfa.toml"), filepath.Join(dir, "store")
	ok(t, os.WriteFile(path, fmt.Appendf(nil, "[store]\npath = %q\n[secrets]\nkey_file = %q\n", at, filepath.Join(own, "key")), 0o600))
	if _, err := Load(path); err == nil || strings.Contains(err.Error(), "chown") || !strings.Contains(err.Error(), "install -d -m 0700 -o 54321 "+at) {
		t.Errorf("%v", err)
	}
	ok(t, os.Mkdir(at, 0o700))
	ok(t, os.Chown(at, 54321, 54321))
	if _, err := Load(path); err != nil {
		t.Errorf("when it is there: %v", err)
	}
}

// What cannot be written is told with a mend that takes no folder from others.
func TestAuditFileThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root looks for another user")
	}
	dir, err := os.MkdirTemp("", "audit")
	ok(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ok(t, os.Chmod(dir, 0o755))
	c := Default()
	c.Store.Path = filepath.Join(dir, "store")
	ok(t, os.Mkdir(c.Store.Path, 0o700))
	ok(t, os.Chown(c.Store.Path, 65534, 65534))
	own, shared := filepath.Join(dir, "own"), filepath.Join(dir, "shared")
	for _, folder := range []string{own, shared} {
		ok(t, os.Mkdir(folder, 0o755))
		ok(t, os.WriteFile(filepath.Join(folder, "audit.jsonl.1.gz"), nil, 0o600))
	}
	ok(t, os.WriteFile(filepath.Join(shared, "syslog"), nil, 0o600))
	for file, want := range map[string]string{
		filepath.Join(own, "audit.jsonl"):    "run chown --reference=" + c.Store.Path + " " + own,
		filepath.Join(shared, "audit.jsonl"): "mfad needs a folder of its own, as /var/log/mfa",
		shared:                               shared + " is a folder, and is to be a file",
	} {
		c.Audit.File = file
		if err := c.Access(filepath.Join(dir, "mfa.toml")); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}
