// Stage plays the scenes of "make demo": real ssh logins with a second factor, of
// the sshd and the mfad that demo.sh started.
//
// What to know before trusting it: on a terminal the person picks scenes and types
// the answers; without one all scenes are played and the answers are typed for them.
// Mails, and the code that an authenticator app would show, are shown above the
// prompt that waits for it, so that the prompt is the last line. The exit status is 0
// only if the last scene picked, or every scene, came to its good end.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/term"
)

// A stage is where the scenes are played.
type stage struct {
	port, outbox, mfactl, control, sshdLog string

	out    io.Writer // the screen
	person *person   // nobody without a terminal
	phone  *phone
	logAt  int             // how long sshd's log was when the last login began
	played map[string]bool // users of scenes that were played

	inShell bool   // a login ends in a shell, and by leaving it
	screen  string // of the last login
}

func main() {
	s := &stage{out: os.Stdout, played: map[string]bool{}}
	flag.StringVar(&s.port, "port", "2222", "of sshd, on 127.0.0.1")
	flag.StringVar(&s.outbox, "outbox", "", "the maildir of mfad")
	flag.StringVar(&s.mfactl, "mfactl", "mfactl", "the program")
	flag.StringVar(&s.control, "control", "", "the socket of mfad")
	flag.StringVar(&s.sshdLog, "sshd-log", "", "the log of sshd")
	keep := flag.String("pictures", "", "a folder that the screens of the README's pictures are written to")
	flag.Parse()
	s.phone = &phone{outbox: s.outbox}
	if *keep != "" {
		os.Exit(status(s.keep(*keep)))
	}
	if term.IsTerminal(0) && term.IsTerminal(1) {
		s.person = newPerson()
		os.Exit(status(s.pick()))
	}
	os.Exit(status(s.walk()))
}

func status(well bool) int {
	if well {
		return 0
	}
	return 1
}

// pick lets the person choose scenes until they leave.
func (s *stage) pick() bool {
	well := true
	for {
		fmt.Print("\nWhat do you want to see?\n\n")
		for i, sc := range scenes {
			fmt.Printf("  %d  %s\n", i+1, sc.title)
		}
		fmt.Print("  q  leave\n\nYour choice [1]: ")
		line, ok := s.person.line()
		switch line {
		case "":
			if !ok {
				return well
			}
			line = "1"
		case "q", "quit", "exit":
			return well
		}
		if len(line) == 1 && line[0] >= '1' && int(line[0]-'0') <= len(scenes) {
			well = s.play(scenes[line[0]-'1'])
			continue
		}
		fmt.Printf("There is no %q: type a number from 1 to %d, or q.\n", line, len(scenes))
	}
}

// walk plays all scenes.
func (s *stage) walk() bool {
	fmt.Println("\nThere is no terminal: every scene is played, and the answers are typed for you.")
	failed := 0
	for _, sc := range scenes {
		if !s.play(sc) {
			failed++
		}
	}
	fmt.Printf("\n%d scenes passed, %d failed\n", len(scenes)-failed, failed)
	return failed == 0
}

// play plays one scene and says how it ended.
func (s *stage) play(sc scene) bool {
	fmt.Printf("\n== %s\n", sc.title)
	if err := s.fresh(sc.user); err != nil {
		fmt.Println("demo:", err)
		return false
	}
	if err := sc.play(s, sc.user); err != nil {
		fmt.Println("\ndemo:", err)
		return false
	}
	return true
}

// fresh makes a user as on the first day. The mail that tells of a reset is no part
// of the scene.
func (s *stage) fresh(user string) error {
	_, err := s.ctl("reset", user, "--yes")
	for late := time.Now().Add(time.Second); err == nil && s.played[user] && time.Now().Before(late) && len(s.phone.unseen()) == 0; {
		time.Sleep(20 * time.Millisecond)
	}
	s.played[user] = true
	s.phone.forget()
	return err
}

// ctl runs mfactl and returns what it says.
func (s *stage) ctl(args ...string) (string, error) {
	out, err := exec.Command(s.mfactl, append([]string{"--socket", s.control}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("mfactl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// show runs mfactl and shows what is run and said, as the administrator sees it.
func (s *stage) show(args ...string) error {
	fmt.Printf("# mfactl %s\n", strings.Join(args, " "))
	out, err := s.ctl(args...)
	fmt.Print(out)
	return err
}

// A person sits at the terminal. One goroutine reads what they type, for the whole
// demo.
type person struct{ typed chan []byte }

func newPerson() *person {
	p := &person{typed: make(chan []byte)}
	go func() {
		defer close(p.typed)
		for in := bufio.NewReader(os.Stdin); ; {
			buf := make([]byte, 1024)
			n, err := in.Read(buf)
			if err != nil {
				return
			}
			p.typed <- buf[:n]
		}
	}()
	return p
}

// line returns the next line typed while the terminal is as usual, and whether there
// was one.
func (p *person) line() (string, bool) {
	text, ok := <-p.typed
	return strings.ToLower(strings.TrimSpace(string(text))), ok
}
