package text

import (
	"embed"
	"path"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

// files has one file a language, with the English sentences and their translations: a
// string, or where a number is counted a table with a string for each form that the
// language has (Unicode CLDR, plural rules).
//
//go:embed *.toml
var files embed.FS

// A spoken is one language, as terminals can show it; both nil: English.
type spoken struct{ utf8, ascii *Printer }

// catalogs has each language by its tag in lower case. They are read once, when one is
// first asked for.
var catalogs = sync.OnceValue(readAll)

// catalogOf returns the language of a tag, or that it is a kind of.
func catalogOf(tag string) spoken {
	if tag == "" || isEnglish(tag) {
		return spoken{}
	}
	asked, err := language.Parse(tag)
	if err != nil {
		return spoken{}
	}
	for ; !asked.IsRoot(); asked = asked.Parent() {
		if l, ok := catalogs()[strings.ToLower(asked.String())]; ok {
			return l
		}
	}
	return spoken{}
}

func isEnglish(tag string) bool {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return base == "en"
}

// Languages returns the tags of the languages that there is a catalog for; English is none
// of them.
func Languages() (tags []string) {
	names, _ := files.ReadDir(".")
	for _, f := range names {
		tags = append(tags, strings.TrimSuffix(f.Name(), ".toml"))
	}
	return tags
}

// readAll reads all files. One that is not good is left out: then its language is English.
func readAll() map[string]spoken {
	all := map[string]spoken{}
	for _, tag := range Languages() {
		entries, err := read(tag)
		if err == nil {
			all[strings.ToLower(tag)] = spoken{printerOf(tag, entries), printerOf(tag, asciiOf(entries))}
		}
	}
	return all
}

// An entry is the translation of one sentence, by plural forms; one without forms is its
// "other".
type entry map[string]string

// read reads the file of a language.
func read(tag string) (map[string]entry, error) {
	b, err := files.ReadFile(path.Join(".", tag+".toml"))
	if err != nil {
		return nil, err
	}
	var raw map[string]any
	if err := toml.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	entries := map[string]entry{}
	for english, v := range raw {
		switch v := v.(type) {
		case string:
			entries[english] = entry{"other": v}
		case map[string]any:
			forms := entry{}
			for form, said := range v {
				if s, ok := said.(string); ok {
					forms[form] = s
				}
			}
			entries[english] = forms
		}
	}
	return entries, nil
}

// printerOf returns the Printer of a language with these entries. An entry that the catalog
// does not take is left out.
func printerOf(tag string, entries map[string]entry) *Printer {
	parsed, err := language.Parse(tag)
	if err != nil {
		return nil
	}
	b := catalog.NewBuilder(catalog.Fallback(parsed))
	p := &Printer{tag: tag, knows: map[string]bool{}}
	for english, e := range entries {
		if b.Set(parsed, english, e.message()) == nil {
			p.knows[english] = true
		}
	}
	p.print = message.NewPrinter(parsed, message.Catalog(b))
	return p
}

// forms are the plural forms of CLDR, the last of which every entry has.
var forms = []string{"zero", "one", "two", "few", "many", "other"}

func (e entry) message() catalog.Message {
	if len(e) == 1 {
		return catalog.String(e["other"])
	}
	var cases []any
	for _, form := range forms {
		if said, ok := e[form]; ok {
			cases = append(cases, form, catalog.String(said))
		}
	}
	return plural.Selectf(1, "%d", cases...)
}
