package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"mfa/internal/host/pamstack"
)

// A Stack is the result of examining the stacks of one service.
type Stack struct {
	Name    string
	Login   Login
	Found   []Finding
	Asks    bool // pam_mfa stands in the auth stack
	Account bool // and the account stack hands on its demand for a new password
	// Factors says whether any first factor stands in the auth stack.
	Factors bool
	// ByKey says whether an SSH key takes the place of other first factors:
	// "proven=publickey".
	ByKey bool
	// OneLine says whether the code is cut off the password, and nobody is asked for it.
	OneLine bool
	// Tolerant says whether a refusal of pam_mfa leaves the stack as it was before
	// for libpam's next call: "default=ok" in place of required.
	Tolerant bool
	// Arguments of the pam_mfa lines: "socket=" and "timeout=", with their
	// defaults.
	Sockets  []string
	Timeouts []int
}

// exists reports whether there is a file for the service, below root.
func exists(root fs.FS, service string) bool {
	s, err := pamstack.Load(root, service)
	return err == nil && s.File != ""
}

// ExamineStack walks the auth and account stacks of a service below root. What is wrong
// is in Stack.Found.
func ExamineStack(root fs.FS, service string) Stack {
	st := Stack{Name: service, Login: Login{Service: service}}
	svc, err := pamstack.Load(root, service)
	switch {
	case err != nil:
		st.fail("pam-unreadable", fmt.Sprintf("the stack cannot be read: %v", err), "", "")
		return st
	case svc.Refused != "":
		st.fail("pam-unreadable", "libpam refuses every call: "+svc.Refused,
			"Nobody can log in through this service.", "restore the file from a backup, or complete it")
		return st
	case svc.File == "":
		st.add(Warning, "service-unknown", "there is no /etc/pam.d/"+service+"; PAM uses /etc/pam.d/other",
			"What stands in the file other decides about this service, and about every other that has none.",
			"check the name; see /etc/pam.d for those that exist")
	}
	st.lines(svc)
	st.Account = ChangesPassword(root, service)
	e := examination{Stack: &st, root: root, lines: svc.Stack(pamstack.Auth)}
	e.run()
	return st
}

func (st *Stack) add(s Severity, id, what, why, mend string) {
	st.Found = append(st.Found, Finding{Severity: s, ID: id, Where: st.Name, What: what, Why: why, Mend: mend})
}

func (st *Stack) fail(id, what, why, mend string) {
	st.Login.Goes = "cannot be told"
	st.add(Error, id, what, why, mend)
}

// lines looks at single lines: those libpam cannot read, and our arguments.
func (st *Stack) lines(svc *pamstack.Service) {
	for _, kind := range []pamstack.Kind{pamstack.Auth, pamstack.Account} {
		for _, l := range svc.Stack(kind) {
			if l.Broken != "" {
				st.add(Error, "pam-line", fmt.Sprintf("%s: %s", l.Place(), l.Broken),
					"libpam puts a refusal in the place of this line.", "correct the line, or take it out")
			}
			if l.Unread != "" {
				st.add(Error, "pam-control", fmt.Sprintf("%s: %q: %s", l.Place(), l.Control, l.Unread),
					"libpam takes every answer of the module for a refusal.", "see pam.conf(5) for what may stand there")
			}
			if pamstack.RoleOf(l) == pamstack.Second || pamstack.IsSplit(l) {
				st.ours(kind, l)
			}
		}
	}
}

// ours looks at a line that names pam_mfa.
func (st *Stack) ours(kind pamstack.Kind, l pamstack.Line) {
	st.OneLine = st.OneLine || kind == pamstack.Auth && pamstack.IsSplit(l)
	st.Asks = st.Asks || kind == pamstack.Auth && !pamstack.IsSplit(l)
	for _, arg := range l.Args {
		if wrong := wrongArgument(arg); wrong != "" {
			st.add(Error, "module-argument", fmt.Sprintf("%s: the argument %q %s", l.Place(), arg, wrong),
				"pam_mfa refuses every login whose line it does not understand.",
				"known are socket=/ABSOLUTE/PATH, timeout=SECONDS, unavailable=deny|ignore, exempt=ignore|success, proven=publickey, split, debug")
		}
	}
	if kind == pamstack.Account {
		return
	}
	socket, timeout := "/run/mfa/pam.sock", 110
	if v, ok := l.Arg("socket"); ok {
		socket = v
	}
	if v, ok := l.Arg("timeout"); ok {
		timeout, _ = strconv.Atoi(v)
	}
	st.Sockets, st.Timeouts = append(st.Sockets, socket), append(st.Timeouts, timeout)
	if v, _ := l.Arg("unavailable"); v == "ignore" {
		st.add(Warning, "fail-open", fmt.Sprintf("%s: unavailable=ignore", l.Place()),
			"While mfad does not run, the first factor alone lets in. Whoever can stop mfad needs no second factor.",
			"take unavailable=ignore out of the line")
	}
}

// wrongArgument says what is wrong with an argument of pam_mfa, "" if nothing, as
// pam_mfa.c would.
func wrongArgument(arg string) string {
	name, value, _ := strings.Cut(arg, "=")
	switch {
	case arg == "debug", arg == "split":
	case name == "socket":
		if !strings.HasPrefix(value, "/") || len(value) > 107 {
			return "is not an absolute path below 108 bytes"
		}
	case name == "timeout":
		if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 3600 || strings.Trim(value, "0123456789") != "" {
			return "is not within 1 and 3600 seconds"
		}
	default:
		values, known := argumentValues[name]
		switch {
		case !known:
			return "is not known"
		case len(values) == 1 && value != values[0]:
			return "is not " + values[0]
		case !slices.Contains(values, value):
			return "is neither " + strings.Join(values, " nor ")
		}
	}
	return ""
}

// argumentValues are the arguments of pam_mfa that take one of a few words.
var argumentValues = map[string][]string{
	"unavailable": {"deny", "ignore"},
	"proven":      {"publickey"},
	"exempt":      {"ignore", "success"},
}

// An examination walks one auth stack.
type examination struct {
	*Stack
	root  fs.FS
	lines []pamstack.Line
	ways  []pamstack.Way
	good  []pamstack.Way // first factor right, second proven, let in
}

// run looks at what can prove the first factor, goes all ways through the stack, and
// adds what is wrong with them.
func (e *examination) run() {
	e.findFirst()
	missing := missingModules(e.root)
	if !e.explore(missing) {
		return
	}
	e.describe()
	e.oneLine()
	if !e.Asks || e.lacksModule(missing) {
		return
	}
	e.Tolerant = e.isTolerant()
	for _, check := range []func(){
		e.refusals, e.bypass, e.replaced, e.openDoor, e.reached, e.exempt, e.before, e.twice,
	} {
		check()
	}
}

// findFirst finds what proves the first factor: sshd's key, or modules of the stack.
func (e *examination) findFirst() {
	for _, l := range e.lines {
		if isKeyLine(l) {
			e.ByKey = true
		} else {
			e.Factors = e.Factors || pamstack.RoleOf(l) == pamstack.Factor
		}
	}
}

// explore finds all ways through the stack, and the good ones among them. It returns
// false, and says so, if there are too many.
func (e *examination) explore(missing func(pamstack.Line) bool) bool {
	ways, err := pamstack.Explore(e.lines, missing)
	if errors.Is(err, pamstack.ErrTooComplex) {
		e.fail("pam-complex", "the stack has too many ways through it to look at them all", "", "simplify it")
		return false
	}
	e.ways = ways
	for _, w := range ways {
		if w.In() && w.Asked > 0 && w.Second == pamstack.Success && e.firstDone(w) {
			e.good = append(e.good, w)
		}
	}
	return true
}

// lacksModule says whether the file of our module is missing, and adds that. A nil
// missing cannot tell.
func (e *examination) lacksModule(missing func(pamstack.Line) bool) bool {
	for _, l := range e.lines {
		if pamstack.RoleOf(l) == pamstack.Second && missing != nil && missing(l) {
			e.add(Error, "module-missing", fmt.Sprintf("%s: there is no %s", l.Place(), l.Module),
				"Every login through this service is refused.", "install the package again, or take the line out")
			return true
		}
	}
	return false
}

// isKeyLine says whether a line is our module asking whether sshd had a key.
func isKeyLine(l pamstack.Line) bool {
	_, key := l.Arg("proven")
	return key && l.Base() == "pam_mfa.so"
}

// firstDone reports whether a way proved a first factor, if there is one to prove.
func (e *examination) firstDone(w pamstack.Way) bool {
	return w.First == pamstack.Right || !e.Factors && !e.ByKey
}

// sameCase reports whether a user who can go the way w can also go one of the good ways.
// It is true if there is no good way.
func (e *examination) sameCase(w pamstack.Way) bool {
	return len(e.good) == 0 || slices.ContainsFunc(e.good, w.SameCase)
}

// isTolerant reports whether all lines of pam_mfa answer AuthErr with "ok"; see
// Stack.Tolerant.
func (e *examination) isTolerant() bool {
	for _, l := range e.lines {
		if pamstack.RoleOf(l) == pamstack.Second && !l.IsOK(pamstack.AuthErr) {
			return false
		}
	}
	return true
}

// missingModules returns a function that reports whether the file of a line's module is
// missing; nil if there is no folder of modules below root.
func missingModules(root fs.FS) func(pamstack.Line) bool {
	dirs := moduleFolders(root)
	if len(dirs) == 0 {
		return nil
	}
	return func(l pamstack.Line) bool {
		if l.Module == "" || l.Broken != "" {
			return false
		}
		return ModulePath(root, l.Module) == ""
	}
}

// moduleFolders returns the folders in which this machine's libpam looks for modules:
// those of the folders of all distributions that have pam_unix.so.
func moduleFolders(root fs.FS) []string {
	var dirs []string
	for _, pattern := range []string{
		"lib/security", "lib64/security", "usr/lib/security", "usr/lib64/security",
		"lib/*-linux-gnu*/security", "usr/lib/*-linux-gnu*/security",
	} {
		found, _ := fs.Glob(root, pattern+"/pam_unix.so")
		for _, file := range found {
			dirs = append(dirs, path.Dir(file))
		}
	}
	return dirs
}

// ModulePath returns the path below root of a module that a line names, or "".
func ModulePath(root fs.FS, module string) string {
	if rest, absolute := strings.CutPrefix(module, "/"); absolute {
		if _, err := fs.Stat(root, rest); err == nil {
			return rest
		}
		return ""
	}
	for _, dir := range moduleFolders(root) {
		if _, err := fs.Stat(root, dir+"/"+module); err == nil {
			return dir + "/" + module
		}
	}
	return ""
}
