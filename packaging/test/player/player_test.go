package main

import (
	"strings"
	"testing"
)

const page = `# A page

<!-- test: true
false -->

` + "```sh\nmfactl status\n```\n\nIn `/etc/mfa/mfa.toml`:\n\n```toml\n[policy]\n```\n\n   ```console stays\n   # mfactl setup sshd\n   …\n   ```\n\n```\nonly looked at\n```\n<!-- run by: TestElsewhere -->\n```sh\nmake test\n```\n```sh\ntrue\n```\n"

func TestParse(t *testing.T) {
	blocks, err := parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{kind: shell, line: 3, hidden: true, text: "true\nfalse "},
		{kind: shell, line: 6, text: "mfactl status\n"},
		{kind: settings, line: 12, path: "/etc/mfa/mfa.toml", text: "[policy]\n"},
		{kind: console, line: 16, text: "# mfactl setup sshd\n…\n", stays: true},
		{kind: shell, line: 28, text: "true\n"},
	}
	if len(blocks) != len(want) {
		t.Fatalf("%+v", blocks)
	}
	for i := range want {
		if blocks[i] != want[i] {
			t.Errorf("block %d is %+v, want %+v", i, blocks[i], want[i])
		}
	}
	for _, bad := range []string{"no blocks", "```toml\n[a]\n```\n", "```sh\n", "```perl\n1\n```\n", "<!-- test: true\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestCompare: of codes, keys and times only the shape counts, of all else each letter.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"Code: 123456", "Code: 654321", true},
		{"Code: 123456", "Code: 65a321", false},
		{"sent to a***e", "sent to b***e", false},
		{"…\nend", "one\ntwo\nend", true},
		{"…\nend", "one\ntwo", false},
		{"a … c", "a b c", true},
		{"one", "one\ntwo", false},
		{"  2x9d-5ynw-y87c-yemm", "  yht2-6jrv-e4f4-f3v3", true},
		{"at 2026-11-30 08:17:07", "at 2027-01-02 18:00:59", true},
		{"until 08:27:13.", "until never.", false},
	} {
		_, same := compare(strings.Split(c.want, "\n"), strings.Split(c.got, "\n"))
		if same != c.same {
			t.Errorf("%q and %q: %v", c.want, c.got, same)
		}
	}
}

// TestSent: a machine with much to do tells of a code before it has left.
func TestSent(t *testing.T) {
	const want = "(a@server) A code was sent to a***e@example.com.\nIt is good"
	for _, said := range []string{
		want,
		"(a@server) A code is being sent to a***e@example.com.\nIt is good",
		"(a@server) A code is being sent to a***e@example.com, but has not left\nyet.\nIt is good",
	} {
		if got := sent(said); got != want {
			t.Errorf("%q", got)
		}
	}
}

func TestCommands(t *testing.T) {
	all := commandsOf("$ ssh alice@server\n(alice@server) Password:\nCode: 259028\nalice@server:~$\n# mfactl status\nwell\n\n")
	if len(all) != 2 || all[0].shell != "alice@server:~$" || len(all[0].seen) != 2 || !all[1].root || all[1].line != "mfactl status" || len(all[1].seen) != 1 {
		t.Errorf("%+v", all)
	}
	for line, want := range map[string]string{
		"(alice@server) Password:":   "",
		"Code: 259028":               "259028",
		"Code (m = other method): 1": "1",
		"Choice [1]: 2":              "2",
		"[sudo] password for alice:": "",
		"Enter host password for user 'alice': PASSWORD123456": "PASSWORD123456",
		"Press Enter when they are kept:":                      "",
		"Make these changes? [y/N] y":                          "y",
		"(x) Remember this login? [y/N]: y":                    "y",
	} {
		if _, answer, is := asks(line); !is || answer != want {
			t.Errorf("%q: %q, %v", line, answer, is)
		}
	}
	if _, _, is := asks("It is good for 10 minutes: type it"); is {
		t.Error("a sentence is taken for a question")
	}
}
