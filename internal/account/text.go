package account

import (
	"cmp"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// textLocked says how much longer the lock of st lasts at the time now, and why.
func textLocked(st mfa.State, now time.Time) text.Sentence {
	left, hard, _ := st.Locked(now)
	switch {
	case hard && st.LockedBy != "":
		return text.Of("Your second factor is locked by an administrator, until one unlocks it.")
	case hard:
		return text.Of("Your second factor is locked until an administrator unlocks it, after too many wrong codes.")
	case st.LockedBy != "":
		return text.Of("Your second factor is locked by an administrator, for %s.", text.SpanOf(left))
	}
	return text.Of("Your second factor is locked for %s, after too many wrong codes.", text.SpanOf(left))
}

const (
	textRecovered    = "This login was ended, as a recovery code was used. Please log in again."
	textRecoverySent = "A recovery code was sent to %s. It ends the lock."

	textApart     = "Your second factor is locked here for %s, after too many wrong codes. Logins by ssh or at the console are not."
	textApartHard = "Your second factor is locked here until an administrator unlocks it, after too many wrong codes. Logins by ssh or at the console are not."
)

// Words returns the Printer for what the person in the conversation reads at its prompts. It
// may be called from many goroutines.
func (u *User) Words() *text.Printer { return u.prompts.Load() }

// OnlyASCII says that the terminal shows nothing but ASCII. It is called before anybody is asked.
func (u *User) OnlyASCII() {
	u.ascii = true
	u.speak("")
}

// speak has the prompts in a language; if that is empty, in that of the configuration.
func (u *User) speak(tag string) {
	in := text.In
	if u.ascii {
		in = text.ASCIIIn
	}
	u.prompts.Store(in(cmp.Or(tag, u.in.cfg.Language)))
}

// mailWords returns the Printer for mails and text messages to whoever has en.
func (a *Accounts) mailWords(mfa.Enrollment) *text.Printer { return text.In(a.cfg.Language) }

// MailWords is Words for mails and text messages.
func (u *User) MailWords() *text.Printer { return u.in.mailWords(mfa.Enrollment{}) }
