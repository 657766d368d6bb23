package challenge

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
)

// KeyPassword is the key that TextPasswordKey names.
const KeyPassword = "p"

// Texts that people read. Plain ASCII; one prompt has all its lines, because older sshd
// glues messages to the next prompt. Long lines are folded as they are said. How a prompt
// ends is fixed: programs wait for it.

// Texts that other rooms say too.
const (
	TextUnavailable = "The second factor cannot be checked right now. Please tell your administrator; the log of mfad says why."
	TextStopped     = "This login ends here."
	TextDisabled    = "This method is disabled after 100 wrong codes in a row. Log in by another one and set it up anew, or ask your administrator."
	TextPasswordKey = "Type p to change your password after this login."
)

const (
	textChanged     = "Your second factor was changed meanwhile, so this begins again."
	textRules       = "The rules for logging in have changed, so this begins again."
	textAccount     = "This account changed. Please log in again."
	textTooSlow     = "No code was entered in time. Please log in again; a code that was sent stays good until it expires."
	textWasPassword = "That is your password, not the code. Nothing was counted."
	textNoPassword  = "That is your password. It is not asked for here."
	textWasName     = "That is a name, not the code. Nothing was counted."
	textNoCode      = "That cannot be the code. Nothing was counted."
	textNoRecovery  = "That cannot be the recovery code: it has 16 letters and digits. An empty line ends this login."
	textNoOther     = "No other method is set up for this account."
	textNotSent     = "No code is sent for this method."
	textEmpty       = "Type the code, or r for a new one."
	textUnderway    = "The code has not left yet: nobody takes it. It is tried again."
	textOldIsVoid   = "The one before is void."
	textExpired     = "That code has expired. Type r for a new one."
	textSentSpent   = "That code was used already. Type r for a new one."
	textReplaced    = "That code is the older one: a newer one was sent. Type the newer one, or r for another."
	textVoid        = "That code is void. Type r for a new one."
	textElsewhere   = "That code was sent for another login, or to another address. Type the one for this login, or r for a new one."
	textWrongCode   = "That code is not right."
	textTOTP        = "Type the code that your authenticator app shows."
	textTOTPSpent   = "That code was used already. Wait for the next one."
	textClock       = "Codes of your app cannot be checked for now: the clock of this machine may be wrong. Tell your administrator."
	textBackup      = "Type one of your backup codes."
	textBackupSpent = "That backup code was used already. Type another one."
)

// Texts with a place for how long.
const (
	textResendTooSoon = "A new code can be sent in %s. Type the one you have, or wait."
	textNoMoreSends   = "Too many codes were sent to you. The next can be sent in %s."
)

func textGoodFor(lifetime time.Duration) string {
	return fmt.Sprintf("It is good for %s. Type r for a new one.", mfa.Span(lifetime))
}

func textFellBack(m mfa.Method, number, address, reason string, lost bool) string {
	what := fmt.Sprintf("The %s to %s could not be sent.", wordOf(m).thing, number)
	switch {
	case lost:
		what = fmt.Sprintf(wordOf(m).lost, number)
	case m == mfa.Call:
		what = fmt.Sprintf(wordOf(m).failed, number)
	}
	what = strings.TrimSpace(what + " " + reason)
	return fmt.Sprintf("%s\nThe code was sent by email to %s.", what, address)
}

// textWhyNoText says why a text message was not sent, if the person can do something
// about it, else "".
func textWhyNoText(err error) string {
	if errors.Is(err, spend.ErrLimit) {
		return "Too many were sent lately."
	}
	return deliver.NumberReason(err)
}

func textSendFailed(m mfa.Method, masked, reason string, lost bool) string {
	text := fmt.Sprintf(wordOf(m).failed, masked)
	if lost {
		text = fmt.Sprintf(wordOf(m).lost, masked)
	}
	if reason != "" {
		text += " " + reason
	}
	return text + "\nTry again later, or ask your administrator."
}

func textWrong(left int) string {
	if left == 1 {
		return "That code is not right. One try left."
	}
	return fmt.Sprintf("That code is not right. %d tries left.", left)
}

// columns is the width of the narrowest terminals in use.
const columns = 60

// fold breaks lines that are longer than columns at their spaces. Words stay
// whole, and lines without letters, such as those of a QR code, as they are.
func fold(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.ContainsFunc(line, unicode.IsLetter) {
			b.WriteString(line)
			continue
		}
		folded := ""
		for _, word := range strings.SplitAfter(line, " ") {
			width := utf8.RuneCountInString(folded) + utf8.RuneCountInString(strings.TrimRight(word, " \n"))
			if folded != "" && width > columns {
				b.WriteString(strings.TrimRight(folded, " ") + "\n")
				folded = ""
			}
			folded += word
		}
		b.WriteString(folded)
	}
	return b.String()
}
