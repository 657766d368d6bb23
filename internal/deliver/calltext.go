package deliver

import (
	"strings"

	"mfa/internal/mfa"
)

// Call returns the notice as a phone call named id: the code, which is read out digit by
// digit in the voice's language, and what is said before it, in English, to those who
// hear English.
func (n CodeNotice) Call(id string, voice Voice) mfa.Message {
	text := ""
	if strings.HasPrefix(voice.Language, "en-") {
		text = "Hello. Your login code for " + ASCII(n.Host, FieldLimit) + " is"
	}
	return mfa.Message{ID: id, Carrier: mfa.Call, To: n.To, Text: text, Code: n.Code}
}
