package challenge

import (
	"errors"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// KeyPassword is the key that TextPasswordKey names.
const KeyPassword = "p"

// Texts that people read, in English; Conversation.Words says them in the language of the
// person. One prompt has all its lines, because older sshd glues messages to the next
// prompt. Long lines are folded as they are said. How a prompt ends is fixed: programs wait
// for it.

// Texts that other rooms say too.
const (
	TextUnavailable = "The second factor cannot be checked right now. Tell your administrator; the log of mfad says why."
	TextStopped     = "This login ends here."
	TextDisabled    = "This method is disabled after 100 wrong codes in a row. Log in by another one and set it up anew, or ask your administrator."
	TextPasswordKey = "Type p to change your password after this login."
)

const (
	textChanged     = "Your second factor was changed meanwhile, so this begins again."
	textRules       = "The rules for logging in have changed, so this begins again."
	textAccount     = "This account changed. Log in again."
	textTooSlow     = "No code was entered in time. Log in again; a code that was sent stays good until it expires."
	textWasPassword = "That is your password, not the code. Nothing was counted."
	textNoPassword  = "That is your password. It is not asked for here."
	textWasName     = "That is a name, not the code. Nothing was counted."
	textNoCode      = "That cannot be the code. Nothing was counted."
	textNoRecovery  = "That cannot be the recovery code: it has 16 letters and digits. An empty line ends this login."
	textNoOther     = "No other method is set up for this account."
	textNotSent     = "No code is sent for this method."
	textMailed      = "The code was sent by email to %s."
	textMails       = "The code is being sent by email to %s, but has not left yet."
	textEmpty       = "Type the code, or r for a new one."
	textUnderway    = "The code has not left yet: nobody takes it. It is tried again."
	textOldIsVoid   = "The one before is void."
	textExpired     = "That code has expired."
	textSpent       = "That code was used already."
	textReplaced    = "That code is the older one: a newer one took its place."
	textVoid        = "That code is void."
	textElsewhere   = "That code was sent for another login, or to another address."
	adviceResend    = "Type r for a new one."
	adviceNewer     = "Type the newer one, or r for another."
	adviceThis      = "Type the one for this login, or r for a new one."
	textWrongCode   = "That code is not right."
	textTOTP        = "Type the code that your authenticator app shows."
	adviceWait      = "Wait for the next one."
	textClock       = "Codes of your app cannot be checked for now: the clock of this machine may be wrong. Tell your administrator."
	textBackup      = "Type one of your backup codes."
	textBackupSpent = "That backup code was used already."
	adviceAnother   = "Type another one."
)

// Texts with a place for how long.
const (
	textResendTooSoon = "A new code can be sent in %s. Type the one you have, or wait."
	textNoMoreSends   = "Too many codes were sent to you. The next can be sent in %s."
	textGoodFor       = "It is good for %s. Type r for a new one."
)

// Words says a sentence in the language of the person; see text.Printer.Say.
func (c *Conversation) Words(english string, args ...any) string {
	return c.User.Words().Say(english, args...)
}

// goodFor is what is said of how long a code is good that was just sent.
func (a *Asker) goodFor(w *text.Printer) string {
	return w.Say(textGoodFor, text.SpanOf(a.cfg.Code.goodFor()))
}

// textFellBack says that the code did not go to number, and where it goes by email.
func textFellBack(w *text.Printer, m mfa.Method, number, reason, mailed string, lost bool) string {
	what := wordOf(m).unsent
	if lost {
		what = wordOf(m).lost
	}
	return w.Join(w.Say(what, number), reason) + "\n" + mailed
}

// textByEmail says where a code goes by email, in place of another way.
func textByEmail(w *text.Printer, address string, underway bool) string {
	if underway {
		return w.Say(textMails, address)
	}
	return w.Say(textMailed, address)
}

// whyNoText says why a text message was not sent, if the person can do something about it,
// else nothing.
func whyNoText(err error) text.Sentence {
	if errors.Is(err, spend.ErrLimit) {
		return text.Of("Too many were sent lately.")
	}
	return deliver.NumberReason(err)
}

func textSendFailed(w *text.Printer, m mfa.Method, masked, reason string, lost bool) string {
	what := wordOf(m).failed
	if lost {
		what = wordOf(m).lost
	}
	return w.Join(w.Say(what, masked), reason) + "\n" + w.Say("Try again later, or ask your administrator.")
}

func textWrong(w *text.Printer, left int) string {
	return w.Count(left, "That code is not right. One try left.", "That code is not right. %d tries left.")
}

// columns is the width of the narrowest terminals in use.
const columns = 60

// fold breaks lines that are wider than columns.
func fold(said string) string { return text.Fold(said, columns) }
