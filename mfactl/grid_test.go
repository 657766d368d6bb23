package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/spf13/cobra"
)

func TestGridFits(t *testing.T) {
	g := newGrid("USER", "ADDRESS", "LOCKED")
	g.row("alice", "a-very-long-name@example.com", "no")
	g.row("b\x1b[2Jb", "bé", "yes")
	for limit, want := range map[int]string{
		0: "USER    ADDRESS                       LOCKED\n" +
			"alice   a-very-long-name@example.com  no\n" +
			"b?[2Jb  bé                            yes\n",
		30: "USER    ADDRESS         LOCKED\n" +
			"alice   a-very-long-n~  no\n" +
			"b?[2Jb  bé              yes\n",
		1: "USER    ADDRE~  LOCKED\n" + // no narrower than can be read
			"alice   a-ver~  no\n" +
			"b?[2Jb  bé      yes\n",
	} {
		var b bytes.Buffer
		g.write(&b, limit)
		if b.String() != want {
			t.Errorf("limit %d:\n%s\nwant\n%s", limit, b.String(), want)
		}
	}
}

// A terminal shows how far long work is; a file gets nothing of it.
func TestMeter(t *testing.T) {
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	cmd := &cobra.Command{}
	cmd.SetErr(tty)
	m := newMeter(cmd, "reading users", 2)
	m.step()
	m.step()
	m.end()
	m.step() // after the end nothing is shown
	if _, err := tty.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(screen).ReadString('\n')
	if err != nil || tty.Close() != nil {
		t.Fatal(err)
	}
	const clear = "\x1b[K"
	want := "\rreading users: 0 of 2" + clear + "\rreading users: 2 of 2" + clear + "\r" + clear
	if got := strings.TrimRight(said, "\r\n"); got != strings.TrimRight(want, "\r") {
		t.Errorf("shown %q, want %q", got, want)
	}

	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.SetErr(file)
	m = newMeter(cmd, "reading users", 1)
	m.step()
	m.end()
	if info, err := file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}
