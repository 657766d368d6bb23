package pamstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"
)

// stacks is how many random configurations are held against the real libpam.
const stacks = 3000

// within marks, in the environment, the run in a mount namespace of its own.
const within = "MFA_PAMSTACK_WITHIN"

// TestAgainstLibpam has the real libpam and Run walk the same random stacks of
// pam_debug.so, which answers what its line says: the libpam of this machine, and
// that of the other Debian that people run. It runs itself once more where
// /etc/pam.d is its own.
func TestAgainstLibpam(t *testing.T) {
	if os.Getenv(within) != "" {
		compareStacks(t)
		return
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root, to have an /etc/pam.d of its own")
	}
	t.Run("here", func(t *testing.T) { t.Parallel(); compareIn(t, "/") })
	release := otherRelease(t)
	t.Run(release, func(t *testing.T) { t.Parallel(); compareIn(t, debian(t, release)) })
}

// compareIn runs the test again with the folder as its root.
func compareIn(t *testing.T, root string) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "pamstack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "test"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("/", strings.TrimPrefix(dir, root), "test")
	cmd := exec.CommandContext(t.Context(), path, "-test.run=^TestAgainstLibpam$", "-test.v")
	cmd.Env = append(os.Environ(), within+"=1")
	cmd.Dir = "/"
	// Unshared, the mounts are private at once: in a root that is none "/" cannot be made so.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if root != "/" {
		cmd.SysProcAttr.Chroot = root
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// otherRelease names the Debian that this machine is not.
func otherRelease(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "VERSION_CODENAME=bookworm") {
		return "trixie"
	}
	return "bookworm"
}

// debian returns the folder of a Debian of that release.
func debian(t *testing.T, release string) string {
	t.Helper()
	folder := "/var/cache/mfa-e2e/debian-" + release
	out, err := exec.CommandContext(t.Context(), "../../../e2e/debian.sh", release, folder).CombinedOutput()
	if err == nil {
		return folder
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Skipf("no Debian %s: e2e/debian.sh needs the network and the package debootstrap, once: %s", release, out)
	return ""
}

func compareStacks(t *testing.T) {
	const dir = "/etc/pam.d"
	if found, _ := filepath.Glob("/lib/*/security/pam_debug.so"); len(found) == 0 {
		t.Fatal("there is no pam_debug.so (package libpam-modules): nothing to compare with")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	seen := map[Code]int{}
	compare := func(files map[string]string) {
		left, err := filepath.Glob(dir + "/*")
		for _, name := range left {
			err = errors.Join(err, os.Remove(name))
		}
		for name, text := range files {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		want, got := libpam(t), walked(t)
		seen[want]++
		if got != want {
			t.Errorf("Run says %v, libpam says %v\n%s", got, want, show(files))
		}
	}
	for _, control := range []string{"include", "substack"} {
		for depth := 14; depth < 20; depth++ {
			compare(nested(control, depth))
		}
	}
	for seed := range uint64(stacks) {
		compare(randomFiles(rand.New(rand.NewPCG(seed, 7))))
	}
	t.Log(seen)
	if seen[Success] < stacks/20 || len(seen) < 10 {
		t.Errorf("the stacks were too much alike to prove anything: %v", seen)
	}
}

// libpam returns what pam_authenticate does for the service "test".
func libpam(t *testing.T) Code {
	t.Helper()
	tx, err := pam.StartFunc("test", "root", func(pam.Style, string) (string, error) {
		return "", errors.New("nobody is there")
	})
	if err != nil {
		return codeOf(t, err)
	}
	defer func() { _ = tx.End() }()
	return codeOf(t, tx.Authenticate(0))
}

func codeOf(t *testing.T, err error) Code {
	t.Helper()
	var code pam.Error
	switch {
	case err == nil:
		return Success
	case errors.As(err, &code):
		return Code(code)
	}
	t.Fatal(err)
	return 0
}

// walked returns what we think it does.
func walked(t *testing.T) Code {
	t.Helper()
	s, err := Load(os.DirFS("/"), "test")
	if err != nil {
		t.Fatal(err)
	}
	if s.Refused != "" {
		return Abort
	}
	return Run(s.Stack(Auth), func(l Line) Code {
		if l.Base() != "pam_debug.so" {
			return ModuleUnknown // none other exists
		}
		code := Success
		if word, ok := l.Arg("auth"); ok {
			for i, name := range codeNames {
				if name == word {
					code = Code(i)
				}
			}
		}
		return code
	})
}

func show(files map[string]string) string {
	var b strings.Builder
	for name, text := range files {
		fmt.Fprintf(&b, "--- %s\n%s\n", name, text)
	}
	return b.String()
}

// nested makes a service whose one module is so many files deep.
func nested(control string, depth int) map[string]string {
	files := map[string]string{"test": "auth " + control + " f1\n"}
	for i := 1; i < depth; i++ {
		files[fmt.Sprint("f", i)] = fmt.Sprintf("auth %s f%d\n", control, i+1)
	}
	files[fmt.Sprint("f", depth)] = "auth required pam_debug.so\n"
	return files
}

// randomFiles makes a service "test", an "other" and files that they include.
func randomFiles(r *rand.Rand) map[string]string {
	files := map[string]string{}
	for _, name := range []string{"test", "a", "b", "c", "other"} {
		if (name != "test" || r.IntN(20) > 0) && (name != "c" || r.IntN(3) > 0) {
			files[name] = randomFile(r, name)
		}
	}
	return files
}

func randomFile(r *rand.Rand, name string) string {
	var b strings.Builder
	for range 1 + r.IntN(7) {
		b.WriteString(randomLine(r, name))
		b.WriteByte('\n')
	}
	text := b.String()
	if r.IntN(30) == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	return text
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

func randomLine(r *rand.Rand, in string) string {
	kind := pick(r, "auth", "auth", "auth", "auth", "AUTH", "-auth", "account", pick(r, "auth", "auth", "auth", "auht"))
	deeper := map[string][]string{"test": {"a", "b", "c"}, "other": {"a", "b"}, "a": {"b", "c"}, "b": {"c", "none"}, "c": {"none", "none2"}}[in]
	switch r.IntN(14) {
	case 0:
		switch in { // libpam follows some of Debian's @include without end, and dies
		case "test", "other":
			return "@include " + pick(r, "a", "b")
		case "a":
			return "@include b"
		}
	case 1:
		return kind + " include " + pick(r, deeper...)
	case 2, 3:
		return kind + " substack " + pick(r, deeper...)
	case 4:
		return pick(r, "# nothing", "", "   ", "", "", pick(r, "auth", "auth required", "auth required pam_nothing.so"),
			"-auth sufficient pam_nothing.so", "auth required pam_debug.so auth=ignore # and more \\",
			"auth \\\n# within\n\n required \\\n pam_debug.so", "auth required pam_debug.so \\  ", randomContinued(r))
	}
	word := pick(r, "success", "success", "success", "success", "success", "success", "ignore", "ignore", "auth_err", "perm_denied", "ignore", "new_authtok_reqd",
		"user_unknown", "authinfo_unavail", "maxtries", "abort", codeNames[r.IntN(31)])
	return fmt.Sprintf("%s %s pam_debug.so %s", kind, randomControl(r), pick(r, "auth="+word, "[auth="+word+"]", "x auth="+word))
}

// randomContinued makes a line that goes on over others, with what may come between
// them, and one that is about as long as the buffer that older libpams had.
func randomContinued(r *rand.Rand) string {
	between := func() string {
		return pick(r, " ", "\\\n", "\\\n", "\\ \t\n", " \\\n  ", "\\\n\n", "\\\n# a remark\n", "\\\n   # a remark \\\n", "\\\n \t\n", "\\\n\\\n", "# a remark \\\n", "\x00\\\n", "\v")
	}
	long := pick(r, "", "", strings.Repeat("x", 900+r.IntN(200)), strings.Repeat(" ", 900+r.IntN(200)), strings.Repeat("y", 500)+" \\\n"+strings.Repeat("z", 450+r.IntN(100)))
	return pick(r, "", "  ", "\t") + "auth" + between() + pick(r, "required", "sufficient", "[success=done default=bad]") + between() +
		"pam_debug.so" + between() + long + pick(r, "", between()) + " auth=" + pick(r, "success", "ignore", "auth_err") + pick(r, "", between())
}

func randomControl(r *rand.Rand) string {
	if r.IntN(3) > 0 {
		return pick(r, "required", "requisite", "sufficient", "optional", "Required")
	}
	var pairs []string
	for range 1 + r.IntN(4) {
		act := pick(r, "ok", "done", "bad", "die", "ignore", "reset", "1", "2", "3", "11", pick(r, "1", "ok", "ok", pick(r, "0", "x", "-1", "ok=", "", "2147483647", "2147483648", "4294967295", "4294967294", "4294967297", "4294967290", "99999999999")))
		code := pick(r, "success", "default", "default", "auth_err", "ignore", "new_authtok_reqd", codeNames[r.IntN(len(codeNames))], pick(r, "success", "success", "default", pick(r, "succes", "", "SUCCESS")))
		pairs = append(pairs, code+pick(r, "=", "=", "=", " = ", "= ")+act)
	}
	return "[" + strings.Join(pairs, pick(r, " ", " ", "  ", "\t", "")) + "]"
}
