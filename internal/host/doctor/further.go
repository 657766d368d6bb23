package doctor

import (
	"context"
	"fmt"
	"io/fs"
)

// furtherServices are what a program asks PAM by when it is called with an option, by the service
// that it asks by else: "sudo -i" (pam_login_service of sudoers(5)), "su -" (su(1)), "login -h"
// (login(1)).
var furtherServices = map[string][]string{"sudo": {"sudo-i"}, "su": {"su-l"}, "login": {"remote"}}

// Further returns the services below root that the program of a service asks by, too. One without
// a file is left out: PAM takes "other" for it.
func Further(root fs.FS, service string) (names []string) {
	for _, name := range furtherServices[service] {
		if exists(root, name) {
			names = append(names, name)
		}
	}
	return names
}

// further: where sudo asks for a code and "sudo -i" does not, nobody has to answer for either.
func (e *exam) further(context.Context) {
	for _, st := range e.stacks {
		if !st.Asks {
			continue
		}
		for _, name := range Further(e.FS, st.Name) {
			if ExamineStack(e.FS, name).Asks {
				continue
			}
			e.add(Finding{
				Error, "way-around", name, fmt.Sprintf("asks for no second factor, and %s does", st.Name),
				fmt.Sprintf("It is the same program, called with an option (%s): whoever takes it needs no code.", map[string]string{
					"sudo-i": "sudo -i", "su-l": "su -", "remote": "login -h",
				}[name]), "mfactl setup " + name,
			})
		}
	}
}
