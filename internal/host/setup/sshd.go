package setup

import (
	"io/fs"
	"slices"
	"strings"
)

// The files for the lines of sshd: one that sshd reads first, or, if it reads none first,
// its configuration itself.
const (
	sshdConfig = "/etc/ssh/sshd_config"
	sshdDropIn = "/etc/ssh/sshd_config.d/00-mfa.conf"
)

const sshdHead = "# Written by \"mfactl setup sshd\"; \"mfactl setup sshd --undo\" takes it back.\n" +
	"# Of two equal keywords sshd takes the first.\n"

// sshdLines are what docs/install.md tells to write.
func sshdLines(o Options) string {
	keyboard := "KbdInteractiveAuthentication yes\n"
	if o.OldSSHD {
		keyboard = "ChallengeResponseAuthentication yes\n"
	}
	text := sshdHead + "UsePAM yes\n" + keyboard
	if o.OneLine {
		return text + "PasswordAuthentication yes\n"
	}
	text += "PasswordAuthentication no\n"
	if methods := authenticationMethods[o.First]; methods != "" {
		text += "PubkeyAuthentication yes\nAuthenticationMethods " + methods + "\n"
	}
	return text
}

// authenticationMethods are what sshd asks for, by first factor; none: any method
// does, a key alone too.
var authenticationMethods = map[string]string{
	Key:  "publickey,keyboard-interactive:pam",
	Both: "publickey,keyboard-interactive:pam keyboard-interactive:pam",
}

// SSHDSettings returns the settings that setup writes, each as an argument of sshd -o, so
// that sshd can be asked beforehand what it will do.
func SSHDSettings(o Options) []string {
	var settings []string
	for line := range strings.Lines(sshdLines(o)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key != "#" {
			settings = append(settings, key+"="+value)
		}
	}
	return settings
}

// planSSHD plans the change of sshd's configuration; nil if it is there already.
func planSSHD(root fs.FS, o Options) (*Change, error) {
	config, err := read(root, sshdConfig)
	if err != nil {
		return nil, err
	}
	path, lines := sshdDropIn, sshdLines(o)
	if !includesFirst(string(config)) {
		path = sshdConfig
	}
	old, err := read(root, path)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(old), lines) {
		return nil, nil
	}
	after := lines
	if path == sshdConfig {
		after += "\n" + string(old)
	}
	return &Change{path, old, []byte(after)}, nil
}

// includesFirst reports whether the files of sshd_config.d come before any setting.
func includesFirst(config string) bool {
	for line := range strings.Lines(config) {
		words := strings.Fields(strings.Replace(line, "=", " ", 1))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		return strings.EqualFold(words[0], "include") &&
			slices.ContainsFunc(words[1:], func(w string) bool {
				return w == "/etc/ssh/sshd_config.d/*.conf" || w == "sshd_config.d/*.conf"
			})
	}
	return false
}
