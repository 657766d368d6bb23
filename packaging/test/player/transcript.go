package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// transcriptFile is where the test wants a transcript. If it does, the file is there, and has
// how long "make packages" took before.
const transcriptFile = home + "transcript.md"

// A transcript is a page as it was played: each command with what was seen then, and how
// long it took. A nil one notes nothing.
type transcript struct {
	text     strings.Builder
	commands int
	took     time.Duration
	built    time.Duration // the time of "make packages"
}

// newTranscript returns one if the test wants it, else nil.
func newTranscript() *transcript {
	said, err := os.ReadFile(transcriptFile)
	if err != nil {
		return nil
	}
	built, err := time.ParseDuration(string(said))
	if err != nil {
		return nil
	}
	return &transcript{built: built}
}

// command notes one that was typed, by root or somebody else, with what was seen.
func (t *transcript) command(line string, byRoot bool, said string, took time.Duration) {
	if t == nil {
		return
	}
	t.commands++
	fmt.Fprintf(&t.text, "\n## %d. `%s`\n\n", t.commands, line)
	if line == "make packages" {
		t.took += t.built
		fmt.Fprintf(&t.text, "Done before, on a machine that has Go and the compilers: %.1f s. Here the packages are laid\ninto their folder.\n", t.built.Seconds())
		return
	}
	who := "a user, at a second terminal"
	if byRoot {
		who = "root"
	}
	t.took += took
	fmt.Fprintf(&t.text, "As %s: %.1f s.\n", who, took.Seconds())
	t.seen(said)
}

// more notes what a command said that went on beside others.
func (t *transcript) more(line, said string) {
	if t == nil {
		return
	}
	fmt.Fprintf(&t.text, "\n`%s` goes on at its terminal:\n", line)
	t.seen(said)
}

func (t *transcript) seen(said string) {
	var lines []string
	for line := range strings.Lines(strings.Trim(said, "\n")) {
		line = strings.TrimRight(line, "\r\n ")
		lines = append(lines, line[strings.LastIndex(line, "\r")+1:]) // as it looks at the end
	}
	fmt.Fprintf(&t.text, "\n```\n%s\n```\n", strings.Join(lines, "\n"))
}

// write writes it to where the test wants it.
func (t *transcript) write() error {
	if t == nil {
		return nil
	}
	name, err := exec.Command("sh", "-c", `. /etc/os-release; echo "$PRETTY_NAME, $(cat /etc/debian_version)"`).Output()
	if err != nil {
		return err
	}
	head := fmt.Sprintf("# From nothing to a protected login on %s\n\n"+
		"Recorded by `make transcripts`, and changed by nobody since. What is done is what the README\nsays under Install.\n\n"+
		"**%d commands, %.1f minutes**, typed without a pause. The system was just made, with sshd, and alice\nhad an account with a password. The test took the mails.\n",
		strings.TrimSpace(string(name)), t.commands, t.took.Minutes())
	return os.WriteFile(transcriptFile, []byte(head+t.text.String()), 0o644)
}

// eachLine runs a script as root, a line after another, and notes each.
func (w *world) eachLine(script string) (all string, err error) {
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		began := time.Now()
		said, err := root(line)
		all += said
		if err != nil {
			return all, err
		}
		w.notes.command(line, true, said, time.Since(began))
	}
	return all, nil
}
