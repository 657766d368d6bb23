package packages

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// demoInContainer returns "make demo", built before, in a container of systemd-nspawn
// with what the other Debian has.
func demoInContainer(ctx context.Context, t *testing.T, console string) *exec.Cmd {
	t.Helper()
	_, there := otherDebian(t)
	tree := absolute(t, root)
	_, err := os.Stat(tree + "/build/mfad")
	need(t, "make build", err == nil)
	stage := exec.CommandContext(ctx, "go", "build", "-o", tree+"/build/demo-stage", root+"/packaging/demo/stage")
	stage.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := stage.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return exec.CommandContext(ctx, "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--machine=mfa-demo", "--console="+console,
		"--directory="+there, "--bind="+tree, "/usr/bin/env", "DEMO_BUILT=yes", "LC_ALL=C.UTF-8", "/bin/sh", tree+"/packaging/demo/demo.sh")
}

// TestDemoInAContainer plays the demo where a container gives nothing beyond its usual
// rights: by nobody, and by a person at a terminal of the usual size.
func TestDemoInAContainer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	said, err := demoInContainer(ctx, t, "pipe").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "4 scenes passed, 0 failed") {
		t.Fatalf("%v\n%s", err, said)
	}

	cmd := demoInContainer(ctx, t, "interactive")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{choices: []string{"1", "2", "3", "4", "q"}}
	for buf := make([]byte, 4096); ; {
		n, err := terminal.Read(buf)
		if err != nil { // EIO: the demo is over
			break
		}
		if answer, asked := p.hears(string(buf[:n])); asked {
			if _, err := terminal.WriteString(answer + "\n"); err != nil {
				break
			}
		}
	}
	if err := cmd.Wait(); err != nil || strings.Count(p.said, "== let in, with a second factor") != 4 {
		t.Errorf("%v\n%s", err, p.said)
	}
}

// A person plays the demo: every entry of its menu, the answers as the screen gives
// them.
type person struct {
	choices []string // from the menu
	said    string
	at      int    // how much of it was answered
	typed   string // the last code
}

var (
	escapes  = regexp.MustCompile(`\x1b[^a-zA-Z\\]*[a-zA-Z\\]|\r`)
	shownNow = regexp.MustCompile(`(?:Your code: |app shows -*\n\| )(\d{6})`)
	recovery = regexp.MustCompile(`\| Recovery code: (\S+)`)
)

// hears takes what the demo shows, and returns the answer if it asks.
func (p *person) hears(text string) (answer string, asked bool) {
	p.said += escapes.ReplaceAllString(text, "")
	line := p.said[p.at:]
	line = line[strings.LastIndexByte(line, '\n')+1:]
	newest := func(in *regexp.Regexp) string {
		found := in.FindAllStringSubmatch(p.said, -1)
		if found == nil {
			return ""
		}
		return found[len(found)-1][1]
	}
	switch {
	case strings.HasSuffix(line, "Your choice [1]: ") && len(p.choices) > 0:
		answer, p.choices = p.choices[0], p.choices[1:]
	case strings.HasSuffix(line, "Password: "):
		answer = "demo"
	case strings.HasSuffix(line, "Email address: "):
		answer = "demo@example.com"
	case strings.HasSuffix(line, "Recovery code: ") && !strings.HasPrefix(line, "|"):
		answer = newest(recovery)
	case strings.HasSuffix(line, ": ") && strings.HasPrefix(line, "Code"), strings.HasSuffix(line, ") Code: "):
		answer = newest(shownNow)
		if strings.LastIndex(p.said, "Three wrong codes lock here") > strings.LastIndex(p.said, "\nLocked.") {
			answer = "000000"
		} else if answer == p.typed {
			return "", false // the one that is asked for is not shown yet
		} else {
			p.typed = answer
		}
	case strings.HasSuffix(line, "Enter: "), strings.HasSuffix(line, "Choice [1]: "):
	default:
		return "", false
	}
	p.at = len(p.said)
	return answer, true
}
