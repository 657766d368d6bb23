package deliver

import "testing"

func TestVoiceOf(t *testing.T) {
	for tag, want := range map[string]string{
		"": "en-US", "en": "en-US", "EN-gb": "en-GB", "de": "de-DE", "de-AT": "de-DE", "de-Latn-CH": "de-DE", "pt": "pt-PT", "pt-BR": "pt-BR",
		"es-419": "es-ES", "no": "nb-NO", "nn-NO": "nb-NO", "zh-Hant": "zh-CN", "zh-TW": "zh-TW", "yue": "zh-HK", "ar": "arb", "ar-AE": "arb", "cmn": "zh-CN",
	} {
		if v, ok := VoiceOf(tag); !ok || v.Language != want {
			t.Errorf("%q: %q, %v, want %q", tag, v.Language, ok, want)
		}
		if tag != "" && !IsLanguage(tag) {
			t.Errorf("%q is a language", tag)
		}
	}
	for _, tag := range []string{"tlh", "e", "xx-YY", "d"} {
		if v, ok := VoiceOf(tag); ok {
			t.Errorf("%q: %q", tag, v.Language)
		}
	}
	for _, tag := range []string{"de_DE", "de_DE.UTF-8", "C", "german", "de-", "-de", "de-DE-x-y", "d3", "de DE", "de\n"} {
		if IsLanguage(tag) {
			t.Errorf("%q is no language", tag)
		}
	}
}
