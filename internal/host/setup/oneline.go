package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"mfa/internal/host/pamstack"
)

// waysOfOneLine returns the ways of writing that the code is cut off the password, which is
// then checked, and only then the code. What an include brought stands in the file itself,
// for its lines have to take the password of the line above.
func (f *pamFile) waysOfOneLine(ours string) []func() (string, error) {
	write := func(own []pamstack.Line, last ...string) (string, error) {
		own, err := givenPassword(own)
		if err != nil {
			return "", err
		}
		taken, err := takenOver(own)
		if err != nil {
			return "", err
		}
		return f.replace(slices.Concat([]string{
			"# The code stands behind the password: the first line cuts it off, the last checks it.",
			"auth     required   " + ours + " split",
		}, taken, []string{"auth     required   " + ours}, last)...), nil
	}
	return []func() (string, error){
		func() (string, error) {
			if len(f.brings) != 1 {
				return "", errors.New("the first factor is in another file")
			}
			own := slices.Clone(f.brings)
			own[0].Control = "requisite"
			return write(own)
		},
		func() (string, error) { return write(f.brings, "auth     required   pam_permit.so") },
	}
}

// givenPassword returns lines of which each first factor takes the password of the line
// above.
func givenPassword(lines []pamstack.Line) ([]pamstack.Line, error) {
	lines = slices.Clone(lines)
	for i := range lines {
		l := &lines[i]
		if l.IsMark() || pamstack.RoleOf(*l) != pamstack.Factor {
			continue
		}
		takes, could := pamstack.TakesPassword(*l)
		switch {
		case !could:
			return nil, fmt.Errorf("%s: %s takes no password from the line above", l.Place(), l.Base())
		case !takes:
			l.Args = append(slices.Clone(l.Args), "use_first_pass")
		}
	}
	return lines, nil
}

// likeLogins returns the text for a service that has no file: what is asked of logins here.
func likeLogins(root fs.FS) ([]byte, error) {
	for _, way := range []struct{ auth, text string }{
		{"common-auth", "@include common-auth\n@include common-account\n"}, // Debian
		{"system-auth", "auth       substack     system-auth\naccount    include      system-auth\n"},
	} {
		text, err := read(root, "/etc/pam.d/"+way.auth)
		if err != nil {
			return nil, err
		}
		if text != nil {
			return []byte(way.text), nil
		}
	}
	return nil, errors.New("there is neither /etc/pam.d/common-auth nor system-auth to go by")
}
