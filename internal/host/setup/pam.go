package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"mfa/internal/host/doctor"
	"mfa/internal/host/pamstack"
)

// planPAM plans the change of /etc/pam.d/SERVICE; nil if it is right already. It tries one
// way of writing it after the other, and returns the first in which doctor finds no error.
func planPAM(root fs.FS, o Options) (*Change, error) {
	if before := doctor.ExamineStack(root, o.Service); before.Asks {
		return nil, stands(before, o)
	}
	path := "/etc/pam.d/" + o.Service
	old, err := read(root, path)
	if err != nil {
		return nil, err
	}
	text := old
	if text == nil {
		if text, err = vendored(root, o.Service); err != nil && o.OneLine {
			text, err = likeLogins(root)
		}
		if err != nil {
			return nil, err
		}
	}
	f, err := newPAMFile(root, string(text))
	if err != nil {
		return nil, err
	}
	var why error
	for _, write := range f.ways(o) {
		after, err := write()
		if err == nil {
			after, err = withAccount(root, after, ourModule(o))
		}
		if err != nil {
			why = err
			continue
		}
		st := doctor.ExamineStack(plannedFile{root, map[string][]byte{path[1:]: []byte(after)}}, o.Service)
		if err = problems(st.Found); err == nil && st.Login.Second {
			return &Change{path, old, []byte(after)}, nil
		}
		why = errors.Join(err, errors.New("the stack would go: "+st.Login.Goes))
	}
	return nil, fmt.Errorf("no way of writing pam_mfa.so into %s works; write it by hand: %w", path, why)
}

// stands returns why a stack that asks already is not as it is wanted; nil if it is.
func stands(before doctor.Stack, o Options) error {
	if err := problems(before.Found); err != nil {
		return fmt.Errorf("pam_mfa.so stands there already, and not as it should; mend it or take it out first: %w", err)
	}
	if before.OneLine != o.OneLine {
		return fmt.Errorf("pam_mfa.so stands there already, %s; take that back first: mfactl setup %s --undo",
			map[bool]string{true: "with the code in one line with the password", false: "and asks for the code"}[before.OneLine], o.Service)
	}
	if have := firstOf(before); have != o.First {
		return fmt.Errorf("pam_mfa.so stands there already, for another first factor than %s: it is %s; "+
			"take that back first: mfactl setup %s --undo", o.First, have, o.Service)
	}
	return nil
}

// firstOf returns the first factor that a stack with pam_mfa asks for.
func firstOf(st doctor.Stack) string {
	switch {
	case st.ByKey:
		return Both
	case st.Factors:
		return Password
	}
	return Key
}

// vendored returns the file that the distribution has for a service, outside of
// /etc.
func vendored(root fs.FS, service string) ([]byte, error) {
	for _, dir := range []string{"/usr/lib/pam.d/", "/usr/etc/pam.d/"} {
		if text, err := read(root, dir+service); err != nil || text != nil {
			return text, err
		}
	}
	return nil, fmt.Errorf("there is no /etc/pam.d/%s: is the program installed?", service)
}

// A pamFile is a file of a service, and the line in it that asks for the first factor.
type pamFile struct {
	root   fs.FS
	lines  []string
	at     int             // index of that line
	brings []pamstack.Line // what it brings to the auth stack
}

// newPAMFile finds the last line that brings a first factor.
func newPAMFile(root fs.FS, text string) (*pamFile, error) {
	f := &pamFile{root: root, lines: strings.SplitAfter(text, "\n"), at: -1}
	for i, line := range f.lines {
		if strings.HasSuffix(strings.TrimRight(line, " \t\n"), `\`) {
			return nil, fmt.Errorf("line %d goes on in the next one", i+1)
		}
		brings, err := alone(root, line, pamstack.Auth)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(brings, func(l pamstack.Line) bool { return pamstack.RoleOf(l) == pamstack.Factor }) {
			f.at, f.brings = i, brings
		}
	}
	if f.at < 0 {
		return nil, errors.New("no line of it asks for a first factor")
	}
	return f, nil
}

// alone returns the lines that one line of the file adds to a stack.
func alone(root fs.FS, line string, kind pamstack.Kind) ([]pamstack.Line, error) {
	const name = "mfa-setup-line"
	svc, err := pamstack.Load(plannedFile{root, map[string][]byte{"etc/pam.d/" + name: []byte(line)}}, name)
	if err != nil || svc.FromOther(kind) {
		return nil, err
	}
	return svc.Stack(kind), nil
}

// withAccount returns the text of a file with our line above its other account lines, so
// that none of them can end the stack before it: our line demands a new password. A file
// without account lines stays as it is, as our line would replace those of "other".
func withAccount(root fs.FS, text, ours string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		brings, err := alone(root, line, pamstack.Account)
		if err != nil {
			return "", err
		}
		if len(brings) > 0 {
			return strings.Join(slices.Insert(lines, i, "account  required   "+ours+"\n"), ""), nil
		}
	}
	return text, nil
}

// ourModule is our module as a line names it.
func ourModule(o Options) string {
	if o.Socket != defaultSocket {
		return "pam_mfa.so socket=" + o.Socket
	}
	return "pam_mfa.so"
}

// ways returns the ways of writing our line, the simplest first.
func (f *pamFile) ways(o Options) []func() (string, error) {
	ours := ourModule(o)
	if o.OneLine {
		return f.waysOfOneLine(ours)
	}
	if o.First == Both {
		return f.waysOfBoth(ours)
	}
	if o.First == Key {
		return []func() (string, error){func() (string, error) {
			return f.replace("auth     required   " + ours + " exempt=success"), nil
		}}
	}
	line := "auth     required   " + ours
	return []func() (string, error){
		func() (string, error) { return f.replace(strings.TrimRight(f.lines[f.at], "\n"), line), nil },
		func() (string, error) {
			own := f.brings
			if len(own) != 1 {
				return "", errors.New("the first factor is in another file")
			}
			own[0].Control = "requisite"
			return f.replace(rendered(own[0]), line), nil
		},
		func() (string, error) {
			taken, err := takenOver(f.brings)
			if err != nil {
				return "", err
			}
			had := strings.Join(strings.Fields(f.lines[f.at]), " ")
			head := []string{
				"# From here to pam_permit.so: what \"" + had + "\" brought,",
				"# written so that a wrong password ends it.",
			}
			return f.replace(slices.Concat(head, taken, []string{line, "auth     required   pam_permit.so"})...), nil
		},
	}
}

// waysOfBoth returns the ways of writing that a user with an SSH key is asked for no
// password. The number of lines to jump over must not change with another file, so the
// lines of an include are copied into this one.
func (f *pamFile) waysOfBoth(ours string) []func() (string, error) {
	write := func(own []string) string {
		return f.replace(slices.Concat([]string{
			"# A user who proved a key to sshd is not asked for a password: the line jumps to pam_mfa.so.",
			fmt.Sprintf("auth     [success=%d default=ignore]   pam_mfa.so proven=publickey", len(own)),
		}, own, []string{"auth     required   " + ours + " exempt=success"})...)
	}
	return []func() (string, error){
		func() (string, error) {
			own := f.brings
			if len(own) != 1 {
				return "", errors.New("the first factor is in another file")
			}
			own[0].Control = "requisite"
			return write([]string{rendered(own[0])}), nil
		},
		func() (string, error) {
			taken, err := takenOver(f.brings)
			if err != nil {
				return "", err
			}
			return write(taken), nil
		},
	}
}

// replace returns the file with other lines in the place of the one that brings
// the first factor.
func (f *pamFile) replace(with ...string) string {
	lines := slices.Concat(f.lines[:f.at], []string{strings.Join(with, "\n") + "\n"}, f.lines[f.at+1:])
	return strings.Join(lines, "")
}

// takenOver returns the lines of an included stack as they can stand in the file itself:
// "sufficient" becomes a jump over the rest, and the last line becomes "requisite".
func takenOver(lines []pamstack.Line) ([]string, error) {
	var out []string
	lines = slices.DeleteFunc(slices.Clone(lines), pamstack.Line.IsMark)
	for i, l := range lines {
		switch rest := len(lines) - 1 - i; {
		case l.Broken != "" || l.Unread != "":
			return nil, fmt.Errorf("%s is wrong", l.Place())
		case l.Nested(lines[0]):
			return nil, fmt.Errorf("%s is in a substack of its own", l.Place())
		case strings.EqualFold(l.Control, "sufficient") && rest == 0:
			l.Control = "requisite"
		case strings.EqualFold(l.Control, "sufficient"):
			l.Control = fmt.Sprintf("success=%d new_authtok_reqd=%d default=ignore", rest, rest)
		case rest == 0 && strings.EqualFold(l.Control, "required"):
			l.Control = "requisite"
		}
		out = append(out, rendered(l))
	}
	return out, nil
}

// rendered writes a line of the auth stack.
func rendered(l pamstack.Line) string {
	kind := "auth"
	if l.Silent {
		kind = "-auth"
	}
	words := []string{fmt.Sprintf("%-8s", kind), bracketed(l.Control, "="), "", l.Module}
	for _, arg := range l.Args {
		words = append(words, bracketed(arg, " "))
	}
	return strings.TrimRight(strings.Join(words, " "), " ")
}

// bracketed puts a word in brackets that has one of those characters, or a bracket.
func bracketed(word, chars string) string {
	if !strings.ContainsAny(word, chars+" \t") && !strings.HasPrefix(word, "[") {
		return word
	}
	return "[" + strings.ReplaceAll(word, "]", `\]`) + "]"
}
