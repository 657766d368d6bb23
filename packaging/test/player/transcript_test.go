package main

import (
	"strings"
	"testing"
	"time"
)

// TestTranscript: each command stands there with what was seen at its end, what a program
// wrote over is not, and the time of the packages counts.
func TestTranscript(t *testing.T) {
	n := &transcript{built: time.Minute}
	n.command("make packages", true, "", time.Second)
	n.command("apt install mfa", true, "Reading 5%\rReading 100%\r\nDone.\n", 2*time.Second)
	n.command("ssh alice@server", false, "Code: 123456\n", time.Second)
	n.more("apt install mfa", "\nDone.\n")
	if n.commands != 3 || n.took != time.Minute+3*time.Second {
		t.Errorf("%d commands in %v", n.commands, n.took)
	}
	for _, want := range []string{
		"## 1. `make packages`\n\nDone before, on a machine that has Go and the compilers: 60.0 s.",
		"## 2. `apt install mfa`\n\nAs root: 2.0 s.\n\n```\nReading 100%\nDone.\n```\n",
		"As a user, at a second terminal: 1.0 s.\n\n```\nCode: 123456\n```\n",
		"`apt install mfa` goes on at its terminal:\n\n```\nDone.\n```\n",
	} {
		if !strings.Contains(n.text.String(), want) {
			t.Errorf("no %q in %q", want, n.text.String())
		}
	}
	var none *transcript
	none.command("true", true, "", 0)
	none.more("true", "")
	if err := none.write(); err != nil {
		t.Error(err)
	}
}
