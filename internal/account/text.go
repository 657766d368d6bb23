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
	textRecovered    = "This login was ended, as a recovery code was used. Log in again."
	textRecoverySent = "A recovery code was sent to %s. It ends the lock."

	textApart     = "Your second factor is locked here for %s, after too many wrong codes. Logins by ssh or at the console are not."
	textApartHard = "Your second factor is locked here until an administrator unlocks it, after too many wrong codes. Logins by ssh or at the console are not."
)

// A spoken is the language of a person: as their terminal shows it, and in mails.
type spoken struct{ prompts, mails *text.Printer }

// Words returns the Printer for what the person in the conversation reads at its prompts: in
// the language of the configuration, until Load has read of another. It may be called from
// many goroutines.
func (u *User) Words() *text.Printer { return u.language.Load().prompts }

// MailWords is Words for mails and text messages.
func (u *User) MailWords() *text.Printer { return u.language.Load().mails }

// OnlyASCII says that the terminal shows nothing but ASCII. It is called before anybody is asked.
func (u *User) OnlyASCII() {
	u.ascii = true
	u.speak("")
}

// speakOf has the conversation go on in the language that en names, if it is of this account.
func (u *User) speakOf(en mfa.Enrollment) { u.speak(Of(en, u.Account.ID).Language) }

// speak has the conversation go on in a language; if that is empty, in that of the
// configuration.
func (u *User) speak(tag string) {
	tag = cmp.Or(tag, u.in.cfg.Language)
	s := &spoken{text.In(tag), text.In(tag)}
	if u.ascii {
		s.prompts = text.ASCIIIn(tag)
	}
	u.language.Store(s)
}

// mailWords returns the Printer for mails and text messages to whoever has en.
func (a *Accounts) mailWords(en mfa.Enrollment) *text.Printer {
	return text.In(cmp.Or(en.Language, a.cfg.Language))
}

// wordsFor is MailWords for a mail about en.
func (u *User) wordsFor(en mfa.Enrollment) *text.Printer {
	if en.Language == "" {
		return u.MailWords()
	}
	return u.in.mailWords(en)
}
