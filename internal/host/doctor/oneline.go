package doctor

import (
	"fmt"
	"strings"

	"mfa/internal/host/pamstack"
)

// oneLine looks at a stack in which the code is cut off the password: first it is cut, then
// the password is checked as it is left, then the code.
func (e *examination) oneLine() {
	if !e.OneLine {
		return
	}
	cut, checked := false, false
	for _, l := range e.lines {
		switch {
		case pamstack.IsSplit(l):
			cut = true
		case pamstack.RoleOf(l) == pamstack.Second:
			checked = checked || cut
		case pamstack.RoleOf(l) != pamstack.Factor || isKeyLine(l):
		case !cut:
			e.add(Error, "one-line-order", fmt.Sprintf("%s: %s stands above the line that cuts the code off", l.Place(), l.Base()),
				"It takes the code for a part of the password: nobody who types both gets in.",
				"move the line \"pam_mfa.so split\" above that of the first factor")
		default:
			e.takesPassword(l)
		}
	}
	if !checked {
		e.add(Error, "one-line-unchecked", "a code is cut off the password, and no line below checks it",
			"The password alone lets in, with anything behind it that looks like a code.",
			"auth     required   pam_mfa.so, below the line of the first factor")
	}
}

// takesPassword: a first factor must not ask for the password once more.
func (e *examination) takesPassword(l pamstack.Line) {
	takes, could := pamstack.TakesPassword(l)
	if takes {
		return
	}
	severity, mend := Error, "auth     requisite  "+strings.TrimSpace(l.Module+" "+strings.Join(append(append([]string{}, l.Args...), "use_first_pass"), " "))
	switch {
	case !could:
		mend = "take out the line \"pam_mfa.so split\", so that people are asked for the code"
	case l.Base() == "pam_unix.so":
		severity = Warning
	}
	e.add(severity, "one-line-asks-again", fmt.Sprintf("%s: %s is not told to take the password of the line above", l.Place(), l.Base()),
		"If it asks once more, a program that asks for one password answers with the code behind it.", mend)
}
