package text

import "strings"

// greeters are the beginnings of the PAM services of programs that ask in windows of their
// own, also at a console.
var greeters = []string{"gdm", "lightdm", "sddm", "kde", "xdm", "lxdm", "slim", "cosmic", "xscreensaver", "polkit"}

// ShowsUTF8 says whether a person at the terminal tty (PAM_TTY) sees other letters than
// ASCII when a service asks there. The kernel's own console has few of them, and a serial
// line may lead to anything (console_codes(4)); all other terminals are programs.
func ShowsUTF8(tty, service string) bool {
	name := strings.TrimPrefix(tty, "/dev/")
	for _, greeter := range greeters {
		if strings.HasPrefix(service, greeter) {
			return true
		}
	}
	for _, line := range []string{"tty", "console", "hvc", "hvsi", "xvc", "sclp"} {
		if strings.HasPrefix(name, line) && !strings.Contains(name, "/") {
			return false
		}
	}
	return true
}
