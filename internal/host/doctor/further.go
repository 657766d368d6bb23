package doctor

import (
	"context"
	"fmt"
	"io/fs"
)

// furtherServices are what a program asks PAM by when it is called with an option, by the service
// that it asks by else: see pam_login_service of sudoers(5), su(1) and login(1).
var furtherServices = map[string]struct{ name, call string }{
	"sudo":  {"sudo-i", "sudo -i"},
	"su":    {"su-l", "su -"},
	"login": {"remote", "login -h"},
}

// Further returns the other service below root that the program of a service asks by, "" if there
// is none. One without a file is left out: PAM takes "other" for it.
func Further(root fs.FS, service string) string {
	if of, ok := furtherServices[service]; ok && exists(root, of.name) {
		return of.name
	}
	return ""
}

// further: where sudo asks for a code and "sudo -i" does not, nobody has to answer for either.
func (e *exam) further(context.Context) {
	for _, st := range e.stacks {
		if !st.Asks {
			continue
		}
		name := Further(e.FS, st.Name)
		if name == "" || ExamineStack(e.FS, name).Asks {
			continue
		}
		e.add(Finding{
			Error, "way-around", name, fmt.Sprintf("asks for no second factor, and %s does", st.Name),
			fmt.Sprintf("It is the same program, called with an option (%s): whoever takes it needs no code.", furtherServices[st.Name].call),
			"mfactl setup " + name,
		})
	}
}
