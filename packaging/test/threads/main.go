// Threads logs users in through libpam, each on a thread of its own, all at once.
//
// What to know before trusting it: every conversation waits until all of them were
// asked for a code, so that they truly overlap. The arguments are the folder of the
// mails, the password, and the users.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/msteinert/pam/v2"
)

func main() {
	folder, password, users := os.Args[1], os.Args[2], os.Args[3:]
	var asked, all sync.WaitGroup
	asked.Add(len(users))
	errs := make([]error, len(users))
	for i, user := range users {
		all.Go(func() {
			runtime.LockOSThread()
			errs[i] = login(folder, password, user, &asked)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d logins at once from one program\n", len(users))
}

// login holds the conversation of one user.
func login(folder, password, user string, asked *sync.WaitGroup) error {
	once := sync.OnceFunc(asked.Done)
	defer once()
	t, err := pam.StartFunc("threads", user, func(style pam.Style, text string) (string, error) {
		switch {
		case style == pam.PromptEchoOff:
			return password, nil
		case style == pam.PromptEchoOn && strings.Contains(text, "Code"):
			once()
			asked.Wait()
			return mailed(folder, user)
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	err = t.Authenticate(0)
	if err != nil {
		err = fmt.Errorf("%s: %w", user, err)
	}
	return errors.Join(err, t.End())
}

var codeLine = regexp.MustCompile(`(?m)^Your code: ([0-9]+)`)

// mailed waits for the code that goes to a user.
func mailed(folder, user string) (string, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		found, err := filepath.Glob(folder + "/*")
		if err != nil {
			return "", err
		}
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			mail := strings.ReplaceAll(string(text), "\r", "")
			if code := codeLine.FindStringSubmatch(mail); code != nil && strings.Contains(mail, "To: <"+user+"@example.com>") {
				return code[1], nil
			}
		}
	}
	return "", fmt.Errorf("no mail to %s", user)
}
