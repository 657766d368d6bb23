package e2e

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// crowd is how many logins run at once.
const crowd = 50

// failures is the default of lockout.failures.
const failures = 5

// together runs fn for 0 to n-1 at once and ends the test on any error.
func together(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = fn(i) })
	}
	all.Wait()
	ok(t, errors.Join(errs...))
}

// reach types the password and waits for the code prompt. Any goroutine may call
// it.
func (c *terminal) reach(a account) error {
	if _, err := c.wait(`Password: $`); err != nil {
		return err
	}
	c.send(password)
	_, err := c.wait(codePrompt(a))
	return err
}

func TestFiftyLoginsOfFiftyUsersAtOnce(t *testing.T) {
	s, _ := ready(t)
	users := make([]account, crowd)
	terminals := make([]*terminal, crowd)
	for i := range crowd {
		users[i] = s.newUser(fmt.Sprintf("user%02d", i))
	}
	for i := range crowd {
		terminals[i] = s.ssh(users[i])
	}
	together(t, crowd, func(i int) error {
		c := terminals[i]
		if err := c.reach(users[i]); err != nil {
			return err
		}
		code, err := s.waitCode(users[i].email, 1)
		if err != nil {
			return err
		}
		c.send(code)
		said, status, err := c.finish()
		if err == nil && (status != 0 || !strings.Contains(said, welcome)) {
			err = fmt.Errorf("%s was not let in: %q", users[i].name, said)
		}
		return err
	})
	for _, u := range users {
		s.expectLetters(u, 1)
	}
}

func TestFiftyParallelWrongGuessesAreFive(t *testing.T) {
	s, alice := ready(t)
	terminals := make([]*terminal, crowd)
	for i := range crowd {
		terminals[i] = s.ssh(alice)
	}
	together(t, crowd, func(i int) error { return terminals[i].reach(alice) })
	code := s.code(alice, 1)
	for _, c := range terminals {
		c.send(wrong(code))
	}
	// Each conversation guesses as often as it is asked.
	together(t, crowd, func(i int) error {
		for {
			if _, err := terminals[i].wait(`Code[^\n]*: $`); err != nil {
				break
			}
			terminals[i].send(wrong(code))
		}
		_, status, err := terminals[i].finish()
		if err == nil && status == 0 {
			err = fmt.Errorf("let in with a wrong code")
		}
		return err
	})
	s.expectFailures(alice, failures)
	s.expectLetters(alice, 1)

	c := s.ssh(alice) // and the right code is worth nothing now
	c.expect(t, `Password: $`)
	c.send(password)
	if said := c.expectOut(t); !strings.Contains(said, "locked") {
		t.Errorf("after the guesses the user is told %q", said)
	}
}
