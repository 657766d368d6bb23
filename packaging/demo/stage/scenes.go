package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A scene is one thing to be seen.
type scene struct {
	title string
	user  string
	play  func(s *stage, user string) error
}

var scenes = []scene{
	{"a code by email", "demo", byEmail},
	{"an authenticator app, with its QR code", "demo", byApp},
	{"enrolling: the first login of somebody without a second factor", "newcomer", enrolling},
	{"a lock, and the way out of it", "demo", locked},
}

const address = "demo@example.com"

func byEmail(s *stage, user string) error {
	if err := s.show("enroll", user, "--email", address, "--no-message"); err != nil {
		return err
	}
	return s.mustLogin(user, s.answer(""))
}

func byApp(s *stage, user string) error {
	text, err := s.ctl("enroll", user, "--totp", "--qr")
	if err != nil {
		return err
	}
	if !s.phone.scan(text) {
		return fmt.Errorf("mfactl enroll --totp shows no key:\n%s", text)
	}
	fmt.Printf("# mfactl enroll %s --totp --qr\n%s", user, s.phone.qr())
	if s.person != nil {
		fmt.Print("Scan it if you like, then press Enter: ")
		s.person.line()
	}
	return s.mustLogin(user, s.answer(""))
}

func enrolling(s *stage, user string) error {
	fmt.Println("Nobody has enrolled this user. The login leads them through it.")
	if err := s.mustLogin(user, s.answer("app")); err != nil {
		return err
	}
	text, err := s.ctl("show", user)
	if err == nil && !strings.Contains(text, "app") && !strings.Contains(text, "email") {
		err = fmt.Errorf("%s is not enrolled:\n%s", user, text)
	}
	return err
}

func locked(s *stage, user string) error {
	if err := s.show("enroll", user, "--email", address, "--no-message"); err != nil {
		return err
	}
	// A recovery code is mailed only to an address that was confirmed by a login.
	if err := s.unseen().mustLogin(user, s.answer("")); err != nil {
		return err
	}
	fmt.Println("demo logged in once, so the address is confirmed. Three wrong codes lock here:\ntype wrong ones (like 000000), until ssh ends.")
	if in, err := s.login(user, func(asked string) string {
		if strings.Contains(asked, "assword:") {
			return "demo"
		}
		return "000000"
	}); err != nil || in {
		return errors.Join(err, errors.New("a login with wrong codes was let in, or ended oddly"))
	}
	for late := time.Now().Add(10 * time.Second); s.phone.last(recoveryLine) == "" && time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		if text, err := s.ctl("show", user); err == nil && !strings.Contains(text, "locked") {
			return errors.New("that were too few wrong codes: nothing is locked")
		}
	}
	for _, mail := range s.phone.unseen() {
		fmt.Print("\n" + strings.ReplaceAll(boxed("a mail arrives", short(mail)), "\r", ""))
	}
	fmt.Println("\nLocked. The mail has a recovery code: log in again with that.")
	return s.mustLogin(user, s.answer(""))
}

// unseen returns the same stage with nobody before it.
func (s *stage) unseen() *stage {
	dark := *s // the phone is the same
	dark.out, dark.person = io.Discard, nil
	return &dark
}

// mustLogin wants a login to be let in.
func (s *stage) mustLogin(user string, answers func(string) string) error {
	in, err := s.login(user, answers)
	if err == nil && !in {
		err = s.reason(user)
	}
	if err == nil {
		_, _ = fmt.Fprintln(s.out, "\n== let in, with a second factor")
	}
	return err
}

// answer returns what somebody types who does all right. In a menu it is the
// line that has the word.
func (s *stage) answer(choice string) func(asked string) string {
	return func(asked string) string {
		switch {
		case strings.Contains(asked, "assword: "):
			return "demo"
		case strings.Contains(asked, "Recovery code: "):
			return s.phone.last(recoveryLine)
		case strings.Contains(asked, "Choice ["):
			for line := range strings.Lines(asked) {
				n, what, _ := strings.Cut(strings.TrimSpace(line), " ")
				if choice != "" && len(n) <= 2 && strings.Contains(what, choice) {
					return strings.Trim(n, ".)")
				}
			}
			return ""
		case strings.Contains(asked, "Email address: "):
			return address
		case strings.Contains(asked, "Code"):
			if s.phone.secret != nil && !strings.Contains(asked, " sent to ") {
				return s.phone.shownCode
			}
			return s.phone.last(codeLine)
		}
		return "" // Enter: "Press Enter when they are kept: " and what else can be left as it is
	}
}
