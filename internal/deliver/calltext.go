package deliver

import (
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// Call returns the notice as a phone call named id: the code, which is read out digit by
// digit in the voice's language, and what is said before it, if there is a catalog of that
// language.
func (n CodeNotice) Call(id string, voice Voice) mfa.Message {
	greeting := ""
	if w := text.In(voice.Language); strings.HasPrefix(voice.Language, w.Tag()) {
		greeting = w.Say("Hello. Your login code for %s is", ASCII(n.Host, FieldLimit))
	}
	return mfa.Message{ID: id, Carrier: mfa.Call, To: n.To, Text: greeting, Code: n.Code}
}
