package text

import (
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/mfa"
)

func TestSay(t *testing.T) {
	german := In("de-AT")
	both := Both(Of("A backup code was used to log in."), Counted(1, "1 backup code is left.", "%d backup codes are left."))
	for _, tc := range []struct{ got, want string }{
		{In("").Say("That code is not right."), "That code is not right."},
		{In("en-GB").Say("That code is not right."), "That code is not right."},
		{In("tlh").Say("That code is not right."), "That code is not right."},
		{In("no language").Say("That code is not right."), "That code is not right."},
		{german.Say("That code is not right."), "Der Code ist nicht richtig."},
		{german.Say("100 % of %s that nobody translated"), "100 % of %s that nobody translated"},
		{german.Say("Nobody translated %s.", SpanOf(time.Hour)), "Nobody translated 60 Minuten."},
		{german.Say("A code was sent to %s %s.", "a***e@example.com", AgoOf(72*time.Hour)), "Ein Code wurde vor 3 Tagen an a***e@example.com geschickt."},
		{german.Say("It is good for %s.", SpanOf(72*time.Hour)), "Er gilt noch 3 Tage."},
		{german.Say("You typed %s.", "100%d"), "Ihre Eingabe war: 100%d"},
		{german.Count(1, "That code is not right. One try left.", "That code is not right. %d tries left."), "Der Code ist nicht richtig. Noch 1 Versuch."},
		{german.Count(2, "That code is not right. One try left.", "That code is not right. %d tries left."), "Der Code ist nicht richtig. Noch 2 Versuche."},
		{In("").Count(1, "That code is not right. One try left.", "That code is not right. %d tries left."), "That code is not right. One try left."},
		{In("").Count(1200, "one", "%d days"), "1200 days"},
		{german.Join("Eins.", "Zwei."), "Eins. Zwei."},
		{german.Join("Eins.", ""), "Eins."},
		{both.In(german), "Bei einer Anmeldung wurde ein Backup-Code benutzt. Es ist noch 1 Backup-Code übrig."},
		{both.String(), "A backup code was used to log in. 1 backup code is left."},
		{Sentence{}.In(german), ""},
		{ASCIIIn("de").Say("A second factor is needed for this account."), "Fuer dieses Konto wird ein zweiter Faktor gebraucht."},
		{ASCIIIn("ja").Say("It is good for %s.", SpanOf(72*time.Hour)), "It is good for 3 days."},
		{In("ja-JP").Join("一。", "二。"), "一。二。"},
		{In("ja").Say("A code was sent to %s %s.", "a***e@example.com", AgoOf(72*time.Hour)), "3日前にa***e@example.comへコードを送信しました。"},
		{In("ja").Count(1, "1 day", "%d days"), "1日"},
		{ASCIIIn("").Say("A second factor is needed for this account."), "A second factor is needed for this account."},
	} {
		if tc.got != tc.want {
			t.Errorf("said %q, want %q", tc.got, tc.want)
		}
	}
	if !Speaks("") || !Speaks("en-US") || !Speaks("de-CH") || Speaks("tlh") || Speaks("fr") {
		t.Error("Speaks does not know which catalogs there are")
	}
}

// English spans are those of package mfa.
func TestSpansInEnglish(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Second: "1 second", 119 * time.Second: "60 seconds", 590 * time.Second: "9 minutes", 49 * time.Hour: "48 hours"} {
		if got := In("").Say("%s", SpanLeft(d)); got != want {
			t.Errorf("%v left: %q, want %q", d, got, want)
		}
	}
	for d := time.Duration(0); d < 400*24*time.Hour; d = d*9/8 + time.Second/3 {
		if got, want := In("").Say("%s", SpanOf(d)), mfa.Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
		if got, want := In("").Say("%s", AgoOf(d)), mfa.Span(d)+" ago"; got != want {
			t.Errorf("%v ago: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 90 * time.Second: "90 seconds", time.Minute: "1 minute",
		10 * time.Minute: "10 minutes", 90 * time.Minute: "90 minutes", time.Hour: "1 hour", 48 * time.Hour: "2 days",
	} {
		if got := In("").Say("%s", Exact(d)); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// A Latin language is spelled in ASCII as a whole; of any other, nothing but English is left.
func TestASCII(t *testing.T) {
	for _, tag := range Languages() {
		entries, err := read(tag)
		if err != nil {
			t.Fatal(err)
		}
		plain := asciiOf(entries)
		if tag == "de" && len(plain) != len(entries) {
			for english := range entries {
				if _, ok := plain[english]; !ok {
					t.Errorf("%s: %q has no ASCII", tag, entries[english])
				}
			}
		}
		for _, e := range plain {
			for _, said := range e {
				if strings.ContainsFunc(said, func(r rune) bool { return r > '~' }) {
					t.Errorf("%s: %q is not ASCII", tag, said)
				}
			}
		}
	}
}

func TestOneAtOnceAndMany(t *testing.T) {
	var wg sync.WaitGroup
	p := In("de")
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got := p.Say("It is good for %s.", SpanOf(72*time.Hour)); got != "Er gilt noch 3 Tage." {
					t.Errorf("said %q", got)
				}
			}
		})
	}
	wg.Wait()
}

// Args from outside are changed wherever they stand, and sentences are not.
func TestMapped(t *testing.T) {
	s := Both(Of("You typed %s.", "x"), Of("It is good for %s.", SpanOf(72*time.Hour))).Mapped(func(string) string { return "y" })
	if got := s.String(); got != "You typed y. It is good for 3 days." {
		t.Errorf("mapped to %q", got)
	}
}

func TestFold(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"eins zwei drei", "eins zwei\ndrei"},
		{"コードを入力してください。", "コードを入\n力してくだ\nさい。"},
		{"十字で終る。次", "十字で終\nる。次"}, // no line begins with a full stop
		{"「あいう」「えお」", "「あいう」\n「えお」"},
		{"Code: コードです", "Code: コー\nドです"},
		{"▀▀▀▀▀▀▀▀▀▀▀▀", "▀▀▀▀▀▀▀▀▀▀▀▀"},
	} {
		if got := Fold(tc.in, 10); got != tc.want {
			t.Errorf("%q is folded to %q, want %q", tc.in, got, tc.want)
		}
	}
	if got := Key("Ｒ１＊"); got != "r1*" {
		t.Errorf("the key is %q", got)
	}
	if got := Width("ab字e\u0301"); got != 5 {
		t.Errorf("%d columns, want 5", got)
	}
}
