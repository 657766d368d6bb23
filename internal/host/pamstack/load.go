package pamstack

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A Kind is one of the four stacks of a service.
type Kind string

// The kinds, as pam.conf(5) names them.
const (
	Auth     Kind = "auth"
	Account  Kind = "account"
	Password Kind = "password"
	Session  Kind = "session"
	anyKind  Kind = ""
)

// folders are where libpam looks for a service, in this order.
var folders = []string{"etc/pam.d", "usr/lib/pam.d", "usr/etc/pam.d"}

// maxDepth bounds substacks within substacks, and from 1.6.0 on every include within
// an include, as PAM_SUBSTACK_MAX_LEVEL does; maxLines and maxFile bound what we hold in memory.
const (
	maxDepth = 16
	maxLines = 5000
	maxFile  = 1 << 20
)

// A Line is one entry of a stack.
type Line struct {
	File    string   // below the root, without a leading "/"
	Num     int      // of the line in it, from 1
	Control string   // as written, without brackets
	Module  string   // as written; empty if the line is none
	Args    []string // of the module
	Broken  string   // why libpam runs no module here, and fails; empty if it does not
	Unread  string   // why every answer of the module is a failure; empty if not
	Silent  bool     // written with "-": may be missing

	level    int // of substacks around it
	substack bool
	actions  actions
}

// Base returns the file name of the module: "pam_unix.so".
func (l Line) Base() string { return path.Base("/" + l.Module) }

// Place returns where the line stands: "/etc/pam.d/sshd:4".
func (l Line) Place() string { return fmt.Sprintf("/%s:%d", l.File, l.Num) }

// Arg returns the value of the argument "name=value", the last one if there are
// several, and whether it is there.
func (l Line) Arg(name string) (value string, ok bool) {
	for _, arg := range l.Args {
		if v, found := strings.CutPrefix(arg, name+"="); found {
			value, ok = v, true
		}
	}
	return value, ok
}

// Has reports whether the module has that whole argument, like "nullok".
func (l Line) Has(arg string) bool {
	for _, a := range l.Args {
		if a == arg {
			return true
		}
	}
	return false
}

// A Service is what PAM does for one application.
type Service struct {
	Name string
	File string // of the service; empty: it has none and PAM uses "other"
	// Refused says why libpam refuses every call for this service; empty: it
	// does not.
	Refused string
	stacks  map[Kind][]Line
	other   map[Kind][]Line
}

// Stack returns the lines of a kind. Like libpam it uses those of "other" for a
// kind that the service does not have.
func (s *Service) Stack(k Kind) []Line {
	if lines := s.stacks[k]; len(lines) > 0 {
		return lines
	}
	return s.other[k]
}

// FromOther reports whether the stack of a kind is that of "other".
func (s *Service) FromOther(k Kind) bool { return len(s.stacks[k]) == 0 }

// Load reads a service as libpam would with fsys as its root. The error is about
// files that cannot be read; what libpam itself refuses is in the Service.
func Load(fsys fs.FS, name string) (*Service, error) {
	if name == "" || strings.Contains(name, "/") || !fs.ValidPath(name) {
		return nil, fmt.Errorf("load service %q: not a name", name)
	}
	name = strings.ToLower(name) // as pam_start(3) does
	s := &Service{Name: name}
	ed := editionOf(fsys)
	own := loader{fsys: fsys, ed: ed, stacks: map[Kind][]Line{}}
	file, whole, err := own.load(name, anyKind, 0, 0)
	if err != nil {
		return nil, err
	}
	s.File, s.stacks = file, own.stacks
	other := loader{fsys: fsys, ed: ed, stacks: map[Kind][]Line{}}
	otherFile, otherWhole := "", true
	if (whole || file == "") && own.refused == "" {
		if otherFile, otherWhole, err = other.load("other", anyKind, 0, 0); err != nil {
			return nil, err
		}
	}
	s.other = other.stacks
	s.Refused = own.refused + other.refused
	if s.Refused == "" {
		s.Refused = unread(file, whole, otherFile, otherWhole)
	}
	return s, nil
}

// unread says why libpam refuses a service by how its file and that of "other" were
// read, "" if it does not. A name is empty if there is no such file.
func unread(file string, whole bool, otherFile string, otherWhole bool) string {
	switch {
	case file != "" && !whole:
		return "/" + file + " ends in the middle of a line"
	case otherFile != "" && !otherWhole:
		return "/" + otherFile + " ends in the middle of a line"
	case file == "" && otherFile == "":
		return "there is neither a file for it nor for other"
	}
	return ""
}

// Own returns the services that have a file in /etc/pam.d, sorted, for people to choose
// from: without common-* files, which others include, and without leftovers.
func Own(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, folders[0])
	if err != nil {
		return nil, err
	}
	var own []string
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, "common-") && !strings.ContainsAny(name, ".~") {
			own = append(own, name)
		}
	}
	return own, nil
}

// Names returns the services that have a file, sorted.
func Names(fsys fs.FS) ([]string, error) {
	var all []string
	for i, dir := range folders {
		entries, err := fs.ReadDir(fsys, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && !shadowed(fsys, folders[:i], e.Name()) && !isLeftover(e.Name()) {
				all = append(all, e.Name())
			}
		}
	}
	return all, nil
}

// isLeftover reports whether a file is one that package managers or editors left.
func isLeftover(name string) bool {
	for _, end := range []string{"~", ".bak", ".orig", ".rpmnew", ".rpmsave", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".swp"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.HasPrefix(name, ".")
}

func shadowed(fsys fs.FS, before []string, name string) bool {
	for _, dir := range before {
		if _, err := fs.Stat(fsys, path.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// A loader collects the lines of one service.
type loader struct {
	fsys    fs.FS
	ed      edition
	stacks  map[Kind][]Line
	count   int
	refused string // why libpam gives the service up
}

// load reads the file of a service, or one that is included. Only lines of the kind only
// count, unless it is anyKind. The file is "" if there is none; whole reports whether
// libpam got to its end.
func (l *loader) load(name string, only Kind, depth, level int) (file string, whole bool, err error) {
	if l.count++; l.count > maxLines {
		return "", false, fmt.Errorf("load %q: more than %d lines with all that is included", name, maxLines)
	}
	file, data, err := l.open(name)
	if err != nil || file == "" {
		return "", false, err
	}
	lines, whole := l.ed.lines(data)
	for _, line := range lines {
		if err := l.add(file, line, only, depth, level); err != nil {
			return "", false, err
		}
	}
	return file, whole, nil
}

// open finds the file of a name, or of an absolute path.
func (l *loader) open(name string) (file, data string, err error) {
	paths := []string{path.Clean(strings.TrimLeft(name, "/"))}
	if !strings.HasPrefix(name, "/") {
		paths = nil
		for _, dir := range folders {
			paths = append(paths, path.Join(dir, name))
		}
	}
	for _, p := range paths {
		if !fs.ValidPath(p) {
			continue
		}
		info, err := fs.Stat(l.fsys, p)
		if err == nil && info.Size() > maxFile {
			return "", "", fmt.Errorf("read %q: larger than %d bytes", p, maxFile)
		}
		content, err := fs.ReadFile(l.fsys, p)
		switch {
		case err == nil:
			return p, string(content), nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", "", err
		}
	}
	return "", "", nil
}

// add adds what a line says to the stacks.
func (l *loader) add(file string, from logical, only Kind, depth, level int) error {
	first, rest, ok := nextWord(from.text)
	if !ok {
		return nil
	}
	line := Line{File: file, Num: from.num, level: level}
	if strings.EqualFold(first, "@include") { // Debian's
		name, _, _ := nextWord(rest)
		return l.include(name, only, depth, line)
	}
	first, line.Silent = strings.CutPrefix(first, "-")
	kind := Kind(strings.ToLower(first))
	switch kind {
	case Auth, Account, Password, Session:
	default:
		// A line of the most sensitive stack, and it fails.
		line.Broken = fmt.Sprintf("%q is none of auth, account, password, session", first)
		if kind = only; kind == anyKind {
			kind = Auth
		}
	}
	if only != anyKind && kind != only {
		return nil
	}
	return l.addTo(kind, line, rest, depth)
}

// addTo adds a line of known kind: what follows is control, module, arguments.
func (l *loader) addTo(kind Kind, line Line, text string, depth int) error {
	control, text, ok := nextWord(text)
	name, text, named := nextWord(text)
	line.Control = control
	switch strings.ToLower(control) {
	case "include":
		return l.include(name, kind, depth, line)
	case "substack":
		mark := line
		mark.substack = true
		if err := l.append(kind, mark); err != nil {
			return err
		}
		line.level++
		return l.include(name, kind, depth, line)
	}
	var err error
	line.actions, err = controlActions(control, l.ed)
	switch {
	case !ok:
		line.actions = allBad()
		line.Broken = "the line ends after its first word"
	case !named:
		line.Broken = "no module is named"
	case err != nil:
		line.Unread = err.Error()
	}
	line.Module, line.Args = name, words(text)
	return l.append(kind, line)
}

// include adds the lines of another file at line's level. If it cannot be read a
// line that fails is added around it; for an @include, which is of no one kind,
// libpam gives the whole service up.
func (l *loader) include(name string, only Kind, depth int, line Line) error {
	if name != "" && !l.ed.tooDeep(depth+1, line.level) {
		file, whole, err := l.load(name, only, depth+1, line.level)
		if err != nil || file != "" && whole {
			return err
		}
	}
	if line.Control != "" && strings.EqualFold(line.Control, "substack") {
		line.level-- // the failure stands outside of it
	}
	line.actions = allBad()
	line.Broken = fmt.Sprintf("%q cannot be included", name)
	if only == anyKind {
		l.refused = fmt.Sprintf("%s: %s", line.Place(), line.Broken)
		return nil
	}
	return l.append(only, line)
}

// append adds a line to a stack, within bounds.
func (l *loader) append(kind Kind, line Line) error {
	if l.count++; l.count > maxLines {
		return fmt.Errorf("load %q: more than %d lines with all that is included", line.File, maxLines)
	}
	l.stacks[kind] = append(l.stacks[kind], line)
	return nil
}

// IsOK reports whether the line's control answers a code with "ok".
func (l Line) IsOK(c Code) bool { return c < codes && l.actions[c] == actOK }

// IsMark reports whether the line only begins a substack and runs nothing.
func (l Line) IsMark() bool { return l.substack }

// Nested reports whether the line is deeper in substacks than another.
func (l Line) Nested(than Line) bool { return l.level > than.level }
