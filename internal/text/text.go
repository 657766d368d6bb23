// Package text says sentences in the language of the person who reads them: prompts, mails
// and text messages. The English sentence is the key of its translations, which stand in one
// file a language beside this one.
//
// What to know before trusting it: nothing here fails. A language without a file, a
// sentence without an entry and a file that does not parse end in English. What programs
// wait for, the end of a prompt, is the same in every language; a test holds that.
package text

import (
	"fmt"
	"strings"

	"golang.org/x/text/message"
)

// A Printer says sentences in one language. A nil one speaks English. It may be used from
// many goroutines.
type Printer struct {
	tag   string
	print *message.Printer
	knows map[string]bool // sentences with an entry
}

// In returns the Printer of a language tag (RFC 5646), or of the language as it is spoken
// elsewhere; one that speaks English, if there is neither, or the tag is empty.
func In(tag string) *Printer { return catalogOf(tag).utf8 }

// ASCIIIn is In for a terminal that shows nothing but ASCII: other letters are spelled with
// those, and a language that cannot be spelled so is English.
func ASCIIIn(tag string) *Printer { return catalogOf(tag).ascii }

// Speaks says whether there is a catalog for a language tag. English needs none.
func Speaks(tag string) bool { return tag == "" || isEnglish(tag) || catalogOf(tag).utf8 != nil }

// Unspoken says to an administrator that a language has no catalog; nothing, if it has one.
func Unspoken(tag string) string {
	if Speaks(tag) {
		return ""
	}
	return fmt.Sprintf("prompt.language: there are no prompts and mails in %q, so they are in English; there are English, %s", tag, strings.Join(Languages(), ", "))
}

// Tag returns the tag of the language that p speaks.
func (p *Printer) Tag() string {
	if p == nil {
		return "en"
	}
	return p.tag
}

// Say says a sentence, which has the verbs of package fmt for args: %s, and %d for numbers.
// An arg may be a Sentence, a Span or an Ago, which are said in the language too. Without
// args a percent sign is one.
func (p *Printer) Say(english string, args ...any) string {
	said := make([]any, len(args))
	for i, a := range args {
		said[i] = p.spell(a)
	}
	switch {
	case p != nil && p.knows[english]:
		return p.print.Sprintf(english, said...)
	case len(args) == 0:
		return english
	}
	return fmt.Sprintf(english, said...)
}

// Count says one of two sentences: one of a single thing, or many of n things, with %d for
// n. Many is the key of both; other languages may have more forms, or no other.
func (p *Printer) Count(n int, one, many string) string {
	if n == 1 && (p == nil || !p.knows[many]) {
		return one
	}
	return p.Say(many, n)
}

// Join puts one sentence behind another. Each may be empty.
func (p *Printer) Join(first, second string) string {
	if first == "" || second == "" {
		return first + second
	}
	return p.Say("%s %s", first, second)
}

// spell says an arg that is to be said in the language.
func (p *Printer) spell(arg any) any {
	if s, ok := arg.(interface{ said(p *Printer) string }); ok {
		return s.said(p)
	}
	return arg
}

// A Sentence is one that is said later, once it is known in which language. The zero value
// says nothing.
type Sentence struct {
	english string
	args    []any
	one     string // with it, english is for many of the first arg
}

// Of returns the Sentence that Printer.Say says.
func Of(english string, args ...any) Sentence { return Sentence{english: english, args: args} }

// Counted returns the Sentence that Printer.Count says.
func Counted(n int, one, many string) Sentence { return Sentence{many, []any{n}, one} }

// Both returns two sentences as one.
func Both(first, second Sentence) Sentence { return Of("%s %s", first, second) }

// IsZero says whether s says nothing.
func (s Sentence) IsZero() bool { return s.english == "" }

// In says s by p.
func (s Sentence) In(p *Printer) string {
	if n, ok := first(s.args).(int); ok && s.one != "" {
		return p.Count(n, s.one, s.english)
	}
	return p.Say(s.english, s.args...)
}

func first(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

func (s Sentence) said(p *Printer) string { return s.In(p) }

// String says s in English.
func (s Sentence) String() string { return s.In(nil) }

// Mapped returns s with f applied to the args that are strings, in the Sentences among its
// args too.
func (s Sentence) Mapped(f func(string) string) Sentence {
	mapped := Sentence{english: s.english, one: s.one}
	for _, a := range s.args {
		switch v := a.(type) {
		case string:
			a = f(v)
		case Sentence:
			a = v.Mapped(f)
		}
		mapped.args = append(mapped.args, a)
	}
	return mapped
}

// A Fault is an error with a sentence for the person who made it.
type Fault struct{ Sentence }

// Error says it in English.
func (f Fault) Error() string { return f.String() }
