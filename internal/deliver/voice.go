package deliver

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Voice is how Twilio is told which language to speak
// (https://www.twilio.com/docs/voice/twiml/say).
type Voice struct {
	Language string // of <Say>
	Name     string // of the one voice that speaks it; empty: Twilio's own choice
}

// voices are the languages that Twilio speaks to every account. Of several of one
// language the first stands for the language alone.
var voices = []Voice{
	{Language: "en-US"},
	{Language: "en-GB"},
	{Language: "en-AU"},
	{Language: "en-CA"},
	{Language: "en-IN"},
	{Language: "de-DE"},
	{Language: "fr-FR"},
	{Language: "fr-CA"},
	{Language: "es-ES"},
	{Language: "es-MX"},
	{Language: "it-IT"},
	{Language: "pt-PT"},
	{Language: "pt-BR"},
	{Language: "nl-NL"},
	{Language: "da-DK"},
	{Language: "sv-SE"},
	{Language: "nb-NO"},
	{Language: "fi-FI"},
	{Language: "pl-PL"},
	{Language: "ru-RU"},
	{Language: "ca-ES"},
	{Language: "ja-JP"},
	{Language: "ko-KR"},
	{Language: "zh-CN"},
	{Language: "zh-HK"},
	{Language: "zh-TW"},
	{"arb", "Polly.Zeina"},
	{"cy-GB", "Polly.Gwyneth"},
	{"hi-IN", "Polly.Aditi"},
	{"is-IS", "Polly.Dora"},
	{"ro-RO", "Polly.Carmen"},
	{"tr-TR", "Polly.Filiz"},
}

// otherNames are languages that Twilio calls otherwise.
var otherNames = map[string]string{"ar": "arb", "no": "nb", "nn": "nb", "cmn": "zh", "yue": "zh-hk"}

// languageTag is a language, and where it is written or spoken (RFC 5646, 2.1); what can
// stand behind that names no other voice.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?$`)

// IsLanguage says whether tag has the shape of a language's, like "de" or "pt-BR".
func IsLanguage(tag string) bool { return languageTag.MatchString(tag) }

// VoiceOf returns the voice for the language tag, or for its language as it is spoken
// elsewhere; empty is English. Ok is false if Twilio does not speak it.
func VoiceOf(tag string) (v Voice, ok bool) {
	tag = strings.ToLower(tag)
	if tag == "" {
		tag = "en"
	}
	language, _, _ := strings.Cut(tag, "-")
	if other := otherNames[language]; other != "" {
		language = other
	}
	for _, want := range []string{tag, language} {
		i := slices.IndexFunc(voices, func(v Voice) bool {
			return strings.EqualFold(v.Language, want) || strings.HasPrefix(strings.ToLower(v.Language), want+"-")
		})
		if i >= 0 {
			return voices[i], true
		}
	}
	return Voice{}, false
}

// CheckCalls returns an error that begins with the key if nobody can be called by what
// the table [sms] says, in the language of prompt.language. By is the key that has people
// called.
func CheckCalls(cfg SMSConfig, language, by string) error {
	_, spoken := VoiceOf(language)
	switch {
	case cfg.Provider != ProviderTwilio:
		return fmt.Errorf(`%s: "call" needs sms.provider = %q, which alone can call`, by, ProviderTwilio)
	case !spoken:
		return fmt.Errorf(`prompt.language: %q is not spoken in calls, which %s has with "call"`, language, by)
	case cfg.Twilio.Caller() == "":
		return fmt.Errorf(`sms.twilio.call_from: is empty, and sms.twilio.from is no number that could call, as %s has it with "call"`, by)
	}
	return nil
}
