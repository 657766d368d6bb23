// Player is the part of the test of the pages that runs within a booted Debian: it does
// what a page of docs says, from its first line to its last, and compares what is seen.
//
// What to know before trusting it: the package is installed, unless the page is played "from
// nothing", and people have accounts with
// a password. A block of sh is run by root. A block of toml goes into the file that the text
// before it names, each key into its table; a block of conf is the whole of that file. A
// block of console is typed at a terminal, and each of its lines has to be seen, but for
// codes, keys and times, of which only the shape counts, and "…", which is anything. With
// "stays" behind the language the last command goes on, for other blocks to be played beside
// it, and "more" is the rest of it. A code that is typed is the true one of the message, the
// app or the token, but for 000000; PASSWORD is the password. A comment that begins with
// "test:" is run by root and seen by no reader: it does what the reader's own world would,
// as a mail server that is there already.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// home is the folder of the test within the system.
const home = "/mfa-test/"

func main() {
	if err := run(); err != nil {
		fmt.Printf("player: FAIL %v\n", err)
		said, _ := exec.Command("journalctl", "--no-pager", "-n", "80").CombinedOutput()
		fmt.Println(string(said))
		conclude("FAIL " + err.Error())
		os.Exit(1)
	}
	conclude("ok")
}

func conclude(outcome string) {
	if err := os.WriteFile(home+"result", []byte(outcome), 0o644); err != nil {
		fmt.Println("player:", err)
	}
}

func run() error {
	page, err := os.ReadFile(home + "page.md")
	if err != nil {
		return err
	}
	blocks, err := parse(string(page))
	if err != nil {
		return err
	}
	w := newWorld()
	if err := w.furnish(); err != nil {
		return fmt.Errorf("prepare the machine: %w", err)
	}
	for _, b := range blocks {
		began := time.Now()
		if err := w.do(b); err != nil {
			return fmt.Errorf("line %d: %w", b.line, err)
		}
		fmt.Printf("player: ok   line %d (%.1f s)\n", b.line, time.Since(began).Seconds())
	}
	return w.notes.write()
}

// do does what a block says.
func (w *world) do(b block) error {
	switch b.kind {
	case settings, file:
		text, old := b.text, []byte(nil)
		err := os.MkdirAll(filepath.Dir(b.path), 0o755)
		if err == nil && b.kind == settings {
			old, err = os.ReadFile(b.path)
			text = enter(string(old), text)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(b.path, []byte(text), 0o644)
	case console:
		return w.play(b)
	}
	w.begin("")
	run := root
	if w.notes != nil && !b.hidden {
		run = w.eachLine
	}
	said, err := run(b.text)
	w.saw(said)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// packages stands for "make packages", which was done before the machine was there.
const packages = `make() { if [ "$*" = packages ]; then mkdir -p dist; cp /mfa-test/dist/* dist/; else command make "$@"; fi; }
`

// root runs a script as root, in the folder of the sources if there is one.
func root(script string) (string, error) {
	cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", packages+script)
	cmd.Dir, cmd.Env = "/root", environment()
	if _, err := os.Stat(home + "source"); err == nil {
		cmd.Dir = home + "source"
	}
	said, err := cmd.CombinedOutput()
	return string(said), err
}

func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin", "GOTOOLCHAIN=local", "GOPROXY=off", "HOME=/root", "USER=root", "TERM=dumb",
		"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
	}
}

// people have accounts.
var people = []string{"alice", "bob", "carol"}

// furnish makes the people, the mail servers, what stands for Twilio, and lets ssh know the
// machine as "server".
func (w *world) furnish() error {
	for at, serve := range map[string]func(net.Listener){"127.0.0.1:25": w.serveMail, "127.0.0.1:587": w.serveRelay, "127.0.0.1:8025": w.serveTexts} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		go serve(l)
	}
	var script strings.Builder
	for _, user := range people {
		fmt.Fprintf(&script, "id %s >/dev/null 2>&1 || useradd -m -s /bin/sh %s\necho '%s:%s' | chpasswd\necho \"PS1='%s@server:~\\$ '\" >/home/%s/.profile\ntouch /home/%s/.hushlogin\n",
			user, user, user, password, user, user, user)
	}
	script.WriteString(`
if [ -e /mfa-test/mfa.deb ]; then dpkg -i /mfa-test/mfa.deb; fi
printf '127.0.0.1 localhost\n192.0.2.1 server.example.com server\n' >/etc/hosts
hostname server
mkdir -p -m 700 /root/.ssh
printf 'Host *\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' >/root/.ssh/config
`)
	said, err := root(script.String())
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, said)
	}
	return errors.Join(err, addresses("192.0.2.1", "203.0.113.10", "198.51.100.7"))
}
