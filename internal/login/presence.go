package login

import (
	"strings"

	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// presence says whether somebody seems to be there to answer a prompt. A person who typed a
// password in this login is. Behind an SSH key there may be a robot: git, cron, a
// backup. An application that wants silence and has no terminal has nobody to ask. In a
// login in one line nothing is asked, so a code may be sent at once. SSH_AUTH_INFO_0 counts
// for any service here: it decides when a code is sent, never whether one is needed.
func presence(req mfa.Request) challenge.Presence {
	switch {
	case req.OneLine():
		return challenge.Present
	case req.Flags&pamSilent != 0 && req.TTY == "":
		return challenge.Absent
	case req.SSHAuthInfo != "" && !passwordProven(req.SSHAuthInfo):
		return challenge.Doubtful
	}
	return challenge.Present
}

// passwordProven says whether a line of SSH_AUTH_INFO_0 is of a method that a person
// types something for.
func passwordProven(authInfo string) bool {
	for line := range strings.Lines(authInfo) {
		switch method, _, _ := strings.Cut(strings.Fields(line + " -")[0], "/"); method {
		case "password", "keyboard-interactive":
			return true
		}
	}
	return false
}
