package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// good are the settings that docs/install.md gives, as "sshd -T" prints them.
const good = "usepam yes\nkbdinteractiveauthentication yes\npasswordauthentication no\npubkeyauthentication no\n" +
	"logingracetime 120\nmaxstartups 100:30:300\npermitrootlogin no\nauthenticationmethods any\n"

// with returns the good settings with some changed.
func with(changes ...string) string {
	text := good
	for _, c := range changes {
		key, _, _ := strings.Cut(c, " ")
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, key+" ") {
				kept = append(kept, line)
			}
		}
		text = strings.Join(kept, "") + c + "\n"
	}
	return text
}

var (
	passwordStack = Stack{Name: "sshd", Asks: true, Factors: true}
	keyStack      = Stack{Name: "sshd", Asks: true}
	lineStack     = Stack{Name: "sshd", Asks: true, Factors: true, OneLine: true}
	tolerantStack = Stack{Name: "sshd", Asks: true, Factors: true, Tolerant: true}
)

func TestSSHD(t *testing.T) {
	for name, tc := range map[string]struct {
		settings string
		stack    Stack
		want     []string
	}{
		"good":                             {good, passwordStack, nil},
		"no pam":                           {with("usepam no"), passwordStack, []string{"sshd-usepam"}},
		"nothing to be asked for":          {with("usepam no"), Stack{}, nil},
		"no keyboard-interactive":          {with("kbdinteractiveauthentication no"), passwordStack, []string{"sshd-keyboard-interactive"}},
		"before 8.7":                       {strings.Replace(good, "kbdinteractiveauthentication", "challengeresponseauthentication", 1), passwordStack, nil},
		"password first":                   {with("passwordauthentication yes"), passwordStack, []string{"sshd-password"}},
		"password first, and so the stack": {with("passwordauthentication yes"), tolerantStack, nil},
		"password in no list": {
			with("passwordauthentication yes", "authenticationmethods publickey,keyboard-interactive:pam"), passwordStack, nil,
		},
		"key alone":               {with("pubkeyauthentication yes"), passwordStack, []string{"sshd-publickey-bypass"}},
		"key alone, by a list":    {with("pubkeyauthentication yes", "authenticationmethods publickey keyboard-interactive"), passwordStack, []string{"sshd-publickey-bypass"}},
		"key and code":            {with("pubkeyauthentication yes", "authenticationmethods publickey,keyboard-interactive:pam"), keyStack, nil},
		"kerberos alone":          {with("gssapiauthentication yes"), passwordStack, []string{"sshd-gssapi-with-mic-bypass"}},
		"host alone":              {with("hostbasedauthentication yes"), passwordStack, []string{"sshd-hostbased-bypass"}},
		"code alone":              {good, keyStack, []string{"sshd-code-alone"}},
		"code alone, by a list":   {with("authenticationmethods keyboard-interactive:pam publickey,keyboard-interactive"), keyStack, []string{"sshd-code-alone"}},
		"ends too early":          {with("logingracetime 60"), passwordStack, []string{"sshd-grace"}},
		"never ends":              {with("logingracetime 0"), passwordStack, nil},
		"one line, password":      {with("passwordauthentication yes", "kbdinteractiveauthentication no"), lineStack, nil},
		"one line, both":          {with("passwordauthentication yes"), lineStack, nil},
		"one line, no password":   {good, lineStack, nil},
		"one line, neither":       {with("kbdinteractiveauthentication no"), lineStack, []string{"sshd-keyboard-interactive"}},
		"one line, behind a key":  {with("passwordauthentication yes", "pubkeyauthentication yes", "authenticationmethods publickey,password"), lineStack, nil},
		"one line, or a key":      {with("passwordauthentication yes", "pubkeyauthentication yes"), lineStack, []string{"sshd-publickey-bypass"}},
		"few at once is no fault": {with("maxstartups 10:30:100"), passwordStack, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sshd := func(context.Context, string) (string, error) { return tc.settings, nil }
			root := fstest.MapFS{"etc/ssh/sshd_config": {Data: []byte("UsePAM yes\n")}}
			expectIDs(t, name, ExamineSSHD(t.Context(), root, sshd, tc.stack, 100*time.Second), tc.want)
		})
	}
}

// Root with a key is told of before nobody gets in by it; whom a Match block lets in is asked for.
func TestRootWithAKey(t *testing.T) {
	const key = "# mine\n\nssh-ed25519 AAAA root\n"
	both := with("pubkeyauthentication yes", "authenticationmethods publickey,keyboard-interactive:pam", "permitrootlogin without-password")
	for name, tc := range map[string]struct {
		settings, ofRoot, keys string
		want                   []string
	}{
		"a key":                  {both, both, key, []string{"sshd-root"}},
		"none":                   {both, both, "# none\n", nil},
		"root may":               {both, strings.Replace(both, "without-password", "yes", 1), key, nil},
		"root may by a key":      {both, strings.Replace(both, "publickey,keyboard-interactive:pam", "publickey", 1), key, nil},
		"root never could":       {both, strings.Replace(both, "without-password", "no", 1), key, nil},
		"keys without the words": {both, both, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			sshd := func(_ context.Context, connection string) (string, error) {
				if strings.HasPrefix(connection, "user=root,") {
					return tc.ofRoot, nil
				}
				return tc.settings, nil
			}
			root := fstest.MapFS{"etc/ssh/sshd_config": {Data: []byte("UsePAM yes\n")}, "root/.ssh/authorized_keys": {Data: []byte(tc.keys)}}
			expectIDs(t, name, ExamineSSHD(t.Context(), root, sshd, keyStack, 100*time.Second), tc.want)
		})
	}
}

func TestSSHDThatRefusesItsConfiguration(t *testing.T) {
	sshd := func(context.Context, string) (string, error) {
		return "", errors.New("line 3: Bad configuration option")
	}
	expectIDs(t, "sshd", ExamineSSHD(t.Context(), fstest.MapFS{}, sshd, passwordStack, time.Second), []string{"sshd-config"})
}

// A Match block is asked for with a connection that it is for, also in an included
// file, and what it changes is found.
func TestMatchBlocks(t *testing.T) {
	root := fstest.MapFS{
		"etc/group":                      {Data: []byte("ops:x:1:carol\nstaff:x:50:\n")},
		"etc/passwd":                     {Data: []byte("dave:x:5:50::/:/bin/sh\n")},
		"etc/ssh/sshd_config":            {Data: []byte("Include sshd_config.d/*.conf # more\nmatch=\"Group\" ops Address 10.0.0.0/8,!10.1.0.0/16\n  PasswordAuthentication yes\nMatch all\n")},
		"etc/ssh/sshd_config.d/one.conf": {Data: []byte("# Match User nobody\nMatch User \"!root,backup*\" LocalPort 2222\nMatch Group staff\nMatch Host *.example.com\n")},
	}
	found, err := matches(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range found {
		got = append(got, m.place+" "+m.connection)
	}
	want := []string{
		"/etc/ssh/sshd_config.d/one.conf:2 user=backupx,host=mfa-doctor.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=2222",
		"/etc/ssh/sshd_config.d/one.conf:3 user=dave,host=mfa-doctor.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22",
		"/etc/ssh/sshd_config.d/one.conf:4 user=mfa-doctor-nobody,host=x.example.com,addr=192.0.2.1,laddr=192.0.2.2,lport=22",
		"/etc/ssh/sshd_config:2 user=carol,host=mfa-doctor.invalid,addr=10.0.0.0,laddr=192.0.2.2,lport=22",
		"/etc/ssh/sshd_config:4 user=mfa-doctor-nobody,host=mfa-doctor.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the blocks are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	sshd := func(_ context.Context, connection string) (string, error) {
		switch {
		case strings.Contains(connection, "user=carol"):
			return with("pubkeyauthentication yes"), nil
		case strings.Contains(connection, "user=dave"):
			return "", errors.New("no")
		}
		return good, nil
	}
	all := ExamineSSHD(t.Context(), root, sshd, passwordStack, 100*time.Second)
	expectIDs(t, "sshd", all, []string{"sshd-publickey-bypass", "sshd-match"})
	for _, f := range all {
		if f.ID == "sshd-publickey-bypass" && !strings.Contains(f.Mend, "/etc/ssh/sshd_config:2") {
			t.Errorf("the block is not named where it is to be mended: %+v", f)
		}
	}
}

func FuzzSSHDConfig(f *testing.F) {
	f.Add("Match User a,b Group=\"c d\"\nInclude sshd_config\n")
	f.Fuzz(func(t *testing.T, text string) {
		root := fstest.MapFS{"etc/ssh/sshd_config": {Data: []byte(text)}}
		found, _ := matches(root) // an error says what cannot be read
		for _, m := range found {
			if !strings.Contains(m.connection, "user=") {
				t.Errorf("%q gives the connection %q", m.text, m.connection)
			}
		}
	})
}
