package house

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mfa/internal/audit/audittest"
	"mfa/internal/wire"
)

const manuals = "packaging/man"

func manual(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(manuals, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ours are complaints about the machine that the test runs on, where the manuals
// of the house are not installed.
var ours = regexp.MustCompile(`referenced manual not found|^mandoc: outdated mandoc\.db`)

// mandoc returns the path of mandoc(1).
func mandoc(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("mandoc")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no mandoc; apt-get install mandoc")
	}
	return path
}

func TestManualsAreClean(t *testing.T) {
	mandoc := mandoc(t)
	names, err := filepath.Glob(filepath.Join(manuals, "*.[1-8]"))
	if err != nil || len(names) < 4 {
		t.Fatalf("manuals %q, %v", names, err)
	}
	known := map[string]bool{}
	for _, name := range names {
		known[filepath.Base(name)] = true
	}
	for _, name := range names {
		out, err := exec.CommandContext(t.Context(), mandoc, "-Tlint", name).CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if !ours.MatchString(line) {
				t.Errorf("%s", line)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^\.Xr ((?:mfa|pam_mfa)\S*) (\d)`).FindAllStringSubmatch(manual(t, filepath.Base(name)), -1) {
			if !known[m[1]+"."+m[2]] {
				t.Errorf("%s sends people to %s(%s), which there is not", name, m[1], m[2])
			}
		}
	}
}

// A word of a sentence that mdoc knows as a macro is not printed: "No code" is "code" where
// No is not escaped.
func TestManualsPrintEveryWord(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(manuals, "*.[1-8]"))
	if err != nil || len(names) < 4 {
		t.Fatalf("manuals %q, %v", names, err)
	}
	// The macros of mdoc(7) that are words of English, or may be read as such, where a
	// quotation or heading begins with them.
	eaten := regexp.MustCompile(`(?m)^\.(?:[BDSP]?[qQ][ol]?|Ql|Li|Em|Sy|Dl|No|Ss|Sh|Nd) (?:No|In|An|At|Do|Ad|Em|Es|So|Oh|Re|St|Ed|Er|Ex|Li|Ms|Pa|Ta|Va|Ux) [a-z].*$`)
	said := map[string][]string{
		"mfa-programs.7": {"No code was sent yet"},
		"mfa.toml.5":     {"key = value", "sudo, su, login and whatever else is done on this machine itself share one count."},
		"mfad.8":         {"they are told so and begin again.", "and they are let in."},
		"pam_mfa.8":      {"PermitRootLogin and the like"},
	}
	for _, name := range names {
		base := filepath.Base(name)
		for _, line := range eaten.FindAllString(manual(t, base), -1) {
			t.Errorf("%s: %s: mdoc takes the first word for a macro; write \\& before it", base, line)
		}
		sentences := said[base]
		if len(sentences) == 0 {
			continue
		}
		text := rendered(t, name)
		for _, sentence := range sentences {
			if !strings.Contains(text, sentence) {
				t.Errorf("%s does not print %q", base, sentence)
			}
		}
	}
}

// rendered returns a manual as man(1) shows it, with one blank between words and plain
// quotes.
func rendered(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mandoc(t), "-Tascii", "-Owidth=1000", name)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	text := regexp.MustCompile(`.\x08`).ReplaceAllString(string(out), "") // bold and underlined
	return strings.Join(strings.Fields(text), " ")
}

// mfad(8) has each flag of the daemon, and pam_mfa(8) each argument and PAM code
// of the module.
func TestManualsHaveEveryFlag(t *testing.T) {
	for _, tc := range []struct{ source, pattern, manual, item string }{
		{"mfad/main.go", `flags\.\w+\("([a-z-]+)"`, "mfad.8", ".It Fl -%"},
		{"pam_mfa/options.c", `value_of\(argument, "([a-z]+)"\)`, "pam_mfa.8", ".It Cm % Ns ="},
		{"pam_mfa/options.c", `strcmp\(argument, "([a-z]+)"\)`, "pam_mfa.8", ".It Cm %"},
		{"pam_mfa/pam_mfa.c", `MEANS\("[^"]*", (PAM_[A-Z_]+)\)`, "pam_mfa.8", ".It Dv %"},
	} {
		source, err := os.ReadFile(tc.source)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(tc.pattern).FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Errorf("%s has no %s", tc.source, tc.pattern)
		}
		for _, m := range found {
			if item := strings.ReplaceAll(tc.item, "%", m[1]); !strings.Contains(manual(t, tc.manual), "\n"+item) {
				t.Errorf("%s has no line %s", tc.manual, item)
			}
		}
	}
}

// mfactl(1) has every resource of the control socket, and none that there is not.
func TestManualHasEveryResource(t *testing.T) {
	inCapitals := strings.NewReplacer("{name}", "NAME", "{session}", "ID", "{serial}", "NUMBER", "{verb}", "VERB", "{backend}", "STORE")
	var served, told []string
	for _, route := range wire.Routes { // TestEveryRouteIsTried holds the server to them
		served = append(served, inCapitals.Replace(string(route)))
	}
	for _, m := range regexp.MustCompile(`(?m)^\.It ([A-Z]+ /v1/\S+)$`).FindAllStringSubmatch(manual(t, "mfactl.1"), -1) {
		told = append(told, m[1])
	}
	for _, r := range served {
		if !slices.Contains(told, r) {
			t.Errorf("mfactl(1) has no line .It %s", r)
		}
	}
	for _, r := range told {
		if !slices.Contains(served, r) {
			t.Errorf("mfactl(1) has %s, which is not served", r)
		}
	}
}

// TestEventsThatAreShown: each event that a page, a manual, an alert or mfactl itself shows
// behind --event or MFA_EVENT= is one, or a pattern of some. A page had one that there never was.
func TestEventsThatAreShown(t *testing.T) {
	s, err := audittest.Load()
	if err != nil {
		t.Fatal(err)
	}
	texts := pages(t)
	for _, pattern := range []string{manuals + "/*.[1-8]", "packaging/doc/*.md", "packaging/metrics/*", "mfactl/*.go", "mfa.toml.example"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range paths {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	looked := 0
	for name, text := range texts {
		for _, m := range regexp.MustCompile(`(?:--event[ =]|MFA_EVENT=)'?([a-z_.*]+)`).FindAllStringSubmatch(text, -1) {
			looked++
			if !slices.ContainsFunc(s.Properties["event"].Enum, func(event string) bool { is, err := path.Match(m[1], event); return is && err == nil }) {
				t.Errorf("%s shows %s, and there is no event %s", name, m[0], m[1])
			}
		}
	}
	if looked < 15 {
		t.Errorf("only %d events: are they where the test looks?", looked)
	}
}

// mfactl(1) explains every event and field of the audit file.
func TestManualHasEveryEvent(t *testing.T) {
	s, err := audittest.Load()
	if err != nil {
		t.Fatal(err)
	}
	_, about, _ := strings.Cut(manual(t, "mfactl.1"), ".Sh AUDIT EVENTS")
	about, _, _ = strings.Cut(about, ".Sh FILES")
	words := strings.Fields(about)
	for _, event := range s.Properties["event"].Enum {
		if !slices.Contains(words, event) {
			t.Errorf("mfactl(1) does not explain the event %s", event)
		}
	}
	for _, outcome := range s.Properties["outcome"].Enum {
		if !slices.Contains(words, outcome) {
			t.Errorf("mfactl(1) does not name the outcome %s", outcome)
		}
	}
	for field := range s.Properties {
		if !slices.Contains(words, field) {
			t.Errorf("mfactl(1) does not name the field %s", field)
		}
	}
}
