package login

import (
	"fmt"
	"strings"
	"time"
)

// What people read. Plain ASCII, lines under 72 columns; one prompt has all its
// lines, because older sshd glues messages to the next prompt. How a prompt
// ends is fixed: programs wait for it.

const (
	promptCode = "Code: "

	textUnavailable = "The second factor cannot be checked right now. Please tell your\nadministrator; the log of mfad says why."
	textNotEnrolled = "No second factor is set up for this account, and one is required.\nAsk your administrator to enroll you."
	textTooSlow     = "No code was entered in time. Please log in again; a code that was\nsent stays good until it expires."
	textWasPassword = "That is your password, not the code. Nothing was counted."
	textNoOther     = "No other method is set up for this account."
	textEmpty       = "Type the code, or r to have a new one sent."
	textUnderway    = "The code has not left yet: the mail server does not take it. It is\ntried again."
	textStopped     = "This login ends here."
)

func textCodeSent(masked string, lifetime time.Duration) string {
	return fmt.Sprintf("A code was sent to %s.\nIt is good for %s. Type r to have a new one sent.", masked, span(lifetime))
}

func textCodeAlreadySent(masked string, ago, left time.Duration) string {
	return fmt.Sprintf("A code was sent to %s %s ago.\nIt is still good for %s. Type r to have a new one sent.",
		masked, span(ago), span(left))
}

func textCodeResent(masked string) string {
	return fmt.Sprintf("A new code was sent to %s. The one before is void.", masked)
}

func textResendTooSoon(wait time.Duration) string {
	return fmt.Sprintf("A new code can be sent in %s. Type the one you have, or wait.", span(wait))
}

func textNoMoreSends(wait time.Duration) string {
	return fmt.Sprintf("Too many codes were sent to you. The next can be sent in %s.", span(wait))
}

func textSendFailed(masked string) string {
	return fmt.Sprintf("The code could not be sent to %s.\nTry again later, or ask your administrator.", masked)
}

func textExpired() string {
	return "That code has expired. Type r to have a new one sent."
}

func textWrong(left int) string {
	if left == 1 {
		return "That code is not right. One try left."
	}
	return fmt.Sprintf("That code is not right. %d tries left.", left)
}

func textWrongLast() string {
	return "That code is not right. " + textStopped
}

func textLocks(left time.Duration) string {
	return "That code is not right. " + textLocked(left)
}

// textLocked says how long the lock lasts; zero is until an administrator ends it.
func textLocked(left time.Duration) string {
	if left == 0 {
		return "After too many wrong codes your second\nfactor is locked until an administrator unlocks it."
	}
	return fmt.Sprintf("After too many wrong codes your second\nfactor is locked for %s.", span(left))
}

// prompt puts lines above the end that asks for a code.
func prompt(lines ...string) string { return strings.Join(append(lines, promptCode), "\n") }

// span says a duration as people do, rounded up, so that nobody is told to come
// back too early.
func span(d time.Duration) string {
	unit, name := time.Second, "second"
	switch {
	case d > 48*time.Hour:
		unit, name = 24*time.Hour, "day"
	case d > 2*time.Hour:
		unit, name = time.Hour, "hour"
	case d > 90*time.Second:
		unit, name = time.Minute, "minute"
	}
	n := max(1, (d+unit-1)/unit)
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
