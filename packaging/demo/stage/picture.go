package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A picture is one login whose screen is kept, for the README.
type picture struct {
	name string // of the file
	user string
	typo string // typed at the first question for a code, empty: nothing
	play func(s *stage, p *picture) error
}

// server is the name that the pictures show for this machine.
const server = "server"

var pictures = []picture{
	{"login", "alice", "123456", func(s *stage, p *picture) error {
		if _, err := s.ctl("enroll", p.user, "--email", p.user+"@example.com", "--no-message"); err != nil {
			return err
		}
		return s.mustLogin(p.user, s.typing(p, ""))
	}},
	{"enroll", "bob", "q", func(s *stage, p *picture) error { return s.mustLogin(p.user, s.typing(p, "app")) }},
}

// keep plays the login of each picture, and writes what ssh showed into a file of dir.
func (s *stage) keep(dir string) bool {
	var errs []error
	for i := range pictures {
		p := &pictures[i]
		quiet := s.unseen()
		quiet.inShell = true
		err := errors.Join(quiet.fresh(p.user), p.play(quiet, p))
		if err == nil {
			shown := fmt.Sprintf("$ ssh %s@%s\n", p.user, server) + upToPrompt(quiet.screen)
			err = os.WriteFile(filepath.Join(dir, p.name+".screen"), []byte(shown), 0o644)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("picture %s: %w", p.name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return false
	}
	return true
}

// typing is answer, but for the typo.
func (s *stage) typing(p *picture, choice string) func(asked string) string {
	right, typo := s.answer(choice), p.typo
	return func(asked string) string {
		if typo != "" && strings.HasSuffix(strings.TrimSpace(asked), "Code:") {
			text := typo
			typo = ""
			return text
		}
		return right(asked)
	}
}

// shellPrompt ends the screen of a login that was let in to a shell.
const shellPrompt = "$ "

// upToPrompt returns a screen up to the first prompt of the shell.
func upToPrompt(screen string) string {
	screen = strings.ReplaceAll(screen, "\r", "")
	if i := strings.Index(screen, ":~"+shellPrompt); i >= 0 {
		return screen[:i+len(":~"+shellPrompt)] + "\n"
	}
	return screen
}
