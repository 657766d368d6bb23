package mail

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/template"
	"unicode/utf8"

	"mfa/internal/text"
)

// key is where mfa.toml names the folder.
const key = "email.templates"

// load returns the forms that the templates in a folder make, and an error for all that is
// wrong with them. Other files than templates are left alone. With codeInSubject the subject
// may have the code of a login.
func load(folder string, codeInSubject bool) (map[string]form, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	forms := map[string]form{}
	var errs []error
	for _, e := range entries { // NAME.html is before NAME.txt
		ext := filepath.Ext(e.Name())
		if ext != ".txt" && ext != ".html" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path, name := filepath.Join(folder, e.Name()), strings.TrimSuffix(e.Name(), ext)
		f := forms[name]
		err := checkName(path, name)
		if err == nil {
			err = f.add(path, ext)
		}
		if forms[name] = f; err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		errs = complete(forms, codeInSubject)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return forms, nil
}

// complete gives a form without a text ours, and tries each.
func complete(forms map[string]form, codeInSubject bool) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		f := forms[name]
		if f.text == nil {
			f.text = builtIn().text
		}
		f.codeInSubject = codeInSubject && kindOf(name) == kindCode
		forms[name] = f
		errs = append(errs, try(f, kindOf(name)))
	}
	return errs
}

// kindOf returns the kind of mail that a name of a template begins with.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ".")
	return kind
}

// checkName refuses a name, without its end, that no mail would be written by.
func checkName(path, name string) error {
	kind, language, one := strings.Cut(name, ".")
	languages := append([]string{"en"}, text.Languages()...)
	switch {
	case kind != kindCode && kind != kindNotice:
		return fmt.Errorf("%s: no mail is written by this name; there are %s and %s, as .txt and .html", path, kindCode, kindNotice)
	case one && !slices.Contains(languages, language):
		return fmt.Errorf("%s: no mail is in %q; there are %s", path, language, strings.Join(languages, ", "))
	}
	return nil
}

// add reads the template at path into f.
func (f *form) add(path, ext string) error {
	source, err := read(path)
	if err != nil {
		return err
	}
	if ext == ".html" {
		if f.html, err = htmltemplate.New(path).Parse(source); err != nil {
			return located(err)
		}
		if err := bounded(f.html.Tree); err != nil {
			return err
		}
		return tryTags(path, source, f.html.Tree)
	}
	if subject, rest, ok := cutSubject(source); ok {
		if f.subject, err = template.New(path).Parse(subject); err != nil {
			return located(err)
		}
		if err := bounded(f.subject.Tree); err != nil {
			return err
		}
		source = "\n" + rest // so that lines are counted as in the file
	}
	if f.text, err = template.New(path).Parse(source); err != nil {
		return located(err)
	}
	return bounded(f.text.Tree)
}

// cutSubject returns the subject that a template begins with, and what is below it.
func cutSubject(source string) (subject, rest string, ok bool) {
	first, rest, _ := strings.Cut(source, "\n")
	subject, ok = strings.CutPrefix(first, "Subject:")
	return subject, rest, ok
}

// read returns the text of the file at path, with lines as Unix has them.
func read(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // a FIFO must not hold the start up
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, fmt.Errorf("%s: it is not a regular file", path))
	}
	data, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > mostBytes:
		return "", fmt.Errorf("%s: it is larger than %d KiB", path, mostBytes>>10)
	}
	line := 0
	for text := range bytes.Lines(data) {
		if line++; !utf8.Valid(text) || bytes.ContainsAny(text, "\x00"+hole) {
			return "", fmt.Errorf("%s:%d: it is not text in UTF-8", path, line)
		}
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n"), nil
}
