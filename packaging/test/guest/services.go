package main

import (
	"os"
	"strings"
)

// otherServices sees root's own door stay open: sudo, su and login are what they
// were, for the module is in none of them.
func otherServices(*memory) {
	for _, name := range []string{"sudo", "su", "login", "common-auth"} {
		if text, err := os.ReadFile("/etc/pam.d/" + name); err == nil && strings.Contains(string(text), "pam_mfa") {
			failf("/etc/pam.d/%s names the module", name)
		}
	}
	contains(run("su", "alice", "-c", "id -un"), "alice")
	contains(run("sudo", "-u", "alice", "id", "-un"), "alice")
}
