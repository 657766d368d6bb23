package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"mfa/internal/mfa"
)

// Refuses returns the lists of AuthenticationMethods if each of them asks for
// keyboard-interactive, else "". A client that cannot answer (BatchMode of ssh(1)) fails
// at that method, even if PAM asks for nothing. Text is the output of "sshd -T".
func Refuses(text string) string {
	c := sshdChecks{s: parseSettings(text)}
	lists := c.lists()
	if len(lists) == 0 || slices.ContainsFunc(lists, func(l []string) bool { return !slices.Contains(l, "keyboard-interactive") }) {
		return ""
	}
	return strings.Join(c.s["authenticationmethods"], " ")
}

// Connection returns the argument of "sshd -T -C" for a login of a user from an address;
// "" is any address.
func Connection(user, address string) string {
	change := map[string]string{"user": user}
	if address != "" {
		change["addr"], change["host"] = address, address
	}
	return connectionSpec(change)
}

// maxLeftOut bounds for how many users of rules sshd is asked.
const maxLeftOut = 20

// robots: a program that logs in by a key, as a user whom a rule exempts, is refused all
// the same if sshd asks for keyboard-interactive.
func (e *exam) robots(ctx context.Context) []Finding {
	var found []Finding
	asked := 0
	for i, rule := range e.extra.Policy.Rule {
		if rule.Mode != modeOff || len(rule.Services) > 0 && !slices.Contains(rule.Services, "sshd") || rule.FirstFactor == "password" {
			continue
		}
		match := map[string]string{}
		for _, user := range rule.Users {
			match[user] = "Match User " + user
		}
		for _, group := range rule.Groups {
			for _, user := range members(e.FS, group) {
				match[user] = "Match Group " + group
			}
		}
		for _, user := range slices.Sorted(maps.Keys(match)) {
			if asked++; asked > maxLeftOut {
				return found
			}
			text, err := e.SSHD(ctx, connectionSpec(map[string]string{"user": user}))
			if err != nil || Refuses(text) == "" {
				continue
			}
			found = append(found, Finding{
				Warning, "sshd-robot", "sshd", fmt.Sprintf("policy.rule[%d] asks %s for no second factor, and sshd for keyboard-interactive all the same", i+1, user),
				"A program that logs in with a key and cannot answer (BatchMode) is refused.",
				"in /etc/ssh/sshd_config: " + match[user] + ", and below it AuthenticationMethods publickey",
			})
			break // one for each rule
		}
	}
	return found
}

// carriers: a user whose only method is text messages cannot log in if there is no
// provider.
func (e *exam) carriers(context.Context) {
	if !e.known || e.cfg.SMS.Provider != "" {
		return
	}
	var names []string
	for name, en := range e.people {
		if en.Has(mfa.SMS) && !en.Has(mfa.Email) && !en.Has(mfa.TOTP) && !en.Has(mfa.HOTP) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), shown)], ", ")
	if len(names) > shown {
		text += fmt.Sprintf(" and %d more", len(names)-shown)
	}
	e.add(Finding{
		Error, "method-without-provider", "text messages", "they are the only method of " + text + ", and no provider is set",
		"They get no code and cannot log in.", "provider under [sms] in mfa.toml; or mfactl enroll USER --email ADDRESS",
	})
}

// unprivilegedServices are the accounts of programs that ask PAM without being
// root, by the beginning of their service's name.
var unprivilegedServices = []struct {
	service  string
	accounts []string
}{
	{"postgresql", []string{"postgres"}},
	{"apache", []string{"www-data", "apache"}},
	{"httpd", []string{"apache", "www-data"}},
	{"nginx", []string{"www-data", "nginx"}},
	{"radius", []string{"freerad", "radiusd"}},
	{"freeradius", []string{"freerad", "radiusd"}},
	{"squid", []string{"proxy", "squid"}},
	{"grafana", []string{"grafana"}},
	{"prosody", []string{"prosody"}},
	{"ejabberd", []string{"ejabberd"}},
	{"mariadb", []string{"mysql"}},
	{"mysql", []string{"mysql"}},
}

// unprivileged: a program that is neither root nor in server.trusted_users may ask mfad
// only about its own user.
func (e *exam) unprivileged(context.Context) {
	uids := e.uids()
	for _, st := range e.stacks {
		if !st.Asks {
			continue
		}
		for _, u := range unprivilegedServices {
			if !strings.HasPrefix(st.Name, u.service) {
				continue
			}
			for _, account := range u.accounts {
				if _, there := uids[account]; there && !slices.Contains(e.extra.Server.TrustedUsers, account) {
					e.add(Finding{
						Error, "not-root", st.Name, "its program runs as " + account + " and not as root",
						"mfad answers it about " + account + " alone, and every login through this service is refused.",
						fmt.Sprintf("trusted_users = [%q] under [server] in mfa.toml, which lets %s ask for anybody", account, account),
					})
				}
			}
		}
	}
}

// sudoers: with NOPASSWD sudo does not ask PAM.
func (e *exam) sudoers(context.Context) {
	if !slices.ContainsFunc(e.stacks, func(st Stack) bool { return strings.HasPrefix(st.Name, "sudo") && st.Asks }) {
		return
	}
	r := sudoersReader{root: e.FS}
	r.read("etc/sudoers", 0)
	if !r.keepsPrompts {
		e.add(Finding{
			Warning, "sudo-prompt", "sudo", "sudo -p, SUDO_PROMPT and ansible replace the prompt for a code by their own",
			"Nobody reads there that a code is wanted; a plain sudo shows it.",
			"echo 'Defaults !passprompt_override' >/etc/sudoers.d/passprompt; programs like ansible want a rule too, see mfa-programs(7)",
		})
	}
	for i, f := range r.found {
		if i == shown {
			e.add(Finding{Warning, "sudo-nopasswd", "sudo", fmt.Sprintf("%d more lines like these", len(r.found)-shown), "", "grep -rn NOPASSWD /etc/sudoers /etc/sudoers.d"})
			return
		}
		e.add(Finding{
			Warning, "sudo-nopasswd", f.place, f.text, "sudo asks neither for a password nor for a second factor there.",
			"take NOPASSWD out (visudo), or keep it for what a program has to run",
		})
	}
}

// A sudoersReader looks in sudoers(5) and its includes for settings by which sudo asks
// nobody, and for those that keep the prompts of PAM.
type sudoersReader struct {
	root  fs.FS
	files int
	found []struct{ place, text string }

	keepsPrompts bool // !passprompt_override, for everybody
}

// maxSudoers bounds how many files are read.
const maxSudoers = 200

func (r *sudoersReader) read(name string, depth int) {
	if r.files++; r.files > maxSudoers || depth > 16 {
		return
	}
	data, err := fs.ReadFile(r.root, name)
	if err != nil {
		return
	}
	num, begun, whole := 0, 0, ""
	for line := range strings.Lines(string(data)) {
		if num++; whole == "" {
			begun = num
		}
		line = strings.TrimRight(line, "\r\n")
		if rest, goesOn := strings.CutSuffix(line, `\`); goesOn {
			whole += rest + " "
			continue
		}
		r.line(fmt.Sprintf("/%s:%d", name, begun), strings.TrimSpace(whole+line), depth)
		whole = ""
	}
}

// line looks at one whole line.
func (r *sudoersReader) line(place, text string, depth int) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "#include", "@include":
		if len(words) > 1 {
			r.read(included(words[1]), depth+1)
		}
		return
	case "#includedir", "@includedir":
		if len(words) > 1 {
			r.folder(included(words[1]), depth)
		}
		return
	}
	text, _, _ = strings.Cut(text, " #")
	if strings.HasPrefix(text, "#") && (len(text) < 2 || text[1] < '0' || text[1] > '9') {
		return // a comment; "#1000" is a uid
	}
	lets := strings.Contains(text, "NOPASSWD") && !strings.HasPrefix(words[0], "Defaults")
	if strings.HasPrefix(words[0], "Defaults") {
		lets = strings.Contains(text, "!authenticate") || strings.Contains(text, "exempt_group")
	}
	if words[0] == "Defaults" {
		r.prompts(text)
	}
	if lets {
		r.found = append(r.found, struct{ place, text string }{place, strings.Join(words, " ")})
	}
}

// prompts notes what a Defaults line says of passprompt_override, if anything. The last
// such line counts.
func (r *sudoersReader) prompts(text string) {
	for _, w := range strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }) {
		if strings.TrimPrefix(w, "!") == "passprompt_override" {
			r.keepsPrompts = w[0] == '!'
		}
	}
}

// included returns a path that a line includes, below the root.
func included(name string) string {
	name = strings.Trim(name, `"`)
	if !strings.HasPrefix(name, "/") {
		name = "/etc/" + name
	}
	return strings.TrimPrefix(path.Clean(name), "/")
}

// folder reads what sudo reads of a folder: no names with a dot or a ~ at the end.
func (r *sudoersReader) folder(name string, depth int) {
	entries, err := fs.ReadDir(r.root, name)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.Contains(entry.Name(), ".") && !strings.HasSuffix(entry.Name(), "~") {
			r.read(name+"/"+entry.Name(), depth+1)
		}
	}
}
