package nss

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A Person is an account with a home.
type Person struct {
	Name string
	UID  uint32
	Home string
}

// People returns the accounts that getent(1) lists, one for each home. Directory services
// often list nobody.
func People(ctx context.Context) ([]Person, error) {
	out, err := exec.CommandContext(ctx, "getent", "passwd").Output()
	if err != nil {
		return nil, fmt.Errorf("list accounts with getent: %w", err)
	}
	return parsePasswd(string(out)), nil
}

// parsePasswd reads lines of passwd(5). Of two accounts with one home the first
// has it: of root and toor, root. Lines that are none are passed over.
func parsePasswd(text string) []Person {
	var all []Person
	homes := map[string]bool{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 7 {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || !filepath.IsAbs(f[5]) || homes[f[5]] {
			continue
		}
		homes[f[5]] = true
		all = append(all, Person{f[0], uint32(uid), f[5]})
	}
	return all
}
