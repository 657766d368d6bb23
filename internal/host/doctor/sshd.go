package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A SSHD returns the settings of sshd for a connection, as "sshd -T -C" prints them. The
// connection is like "user=NAME,host=NAME,addr=ADDRESS,...".
type SSHD func(ctx context.Context, connection string) (string, error)

// settings are what "sshd -T" printed: keywords in lower case.
type settings map[string][]string

func parseSettings(text string) settings {
	s := settings{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key != "" {
			s[strings.ToLower(key)] = append(s[strings.ToLower(key)], value)
		}
	}
	return s
}

// get returns the value of a keyword, "" if it is not there.
func (s settings) get(key string) string {
	if v := s[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (s settings) is(key, value string) bool { return strings.EqualFold(s.get(key), value) }

// A match is one Match block of sshd_config.
type match struct {
	place      string // "/etc/ssh/sshd_config:12"
	text       string // "Match User backup"
	connection string // one that it is for
}

// someone is a connection that no block is for, unless it is for everybody.
var someone = map[string]string{
	"user": "mfa-doctor-nobody", "host": "mfa-doctor.invalid", "addr": "192.0.2.1",
	"laddr": "192.0.2.2", "lport": "22",
}

// connectionSpec returns the argument of sshd -C for someone, with these changes.
func connectionSpec(change map[string]string) string {
	var parts []string
	for _, key := range []string{"user", "host", "addr", "laddr", "lport", "rdomain"} {
		value, ok := change[key]
		if !ok {
			value, ok = someone[key]
		}
		if ok {
			parts = append(parts, key+"="+value)
		}
	}
	return strings.Join(parts, ",")
}

// matches returns the Match blocks of sshd_config and what it includes, in order.
func matches(root fs.FS) ([]match, error) {
	var found []match
	r := sshdReader{root: root}
	err := r.read("etc/ssh/sshd_config", 0, func(place, keyword string, args []string) {
		if strings.EqualFold(keyword, "match") {
			found = append(found, match{place, "Match " + strings.Join(args, " "), connectionFor(root, args)})
		}
	})
	return found, err
}

// maxSSHDFiles bounds how many files are read, with all that is included.
const maxSSHDFiles = 200

// A sshdReader reads an sshd_config(5) with what it includes.
type sshdReader struct {
	root  fs.FS
	files int
}

// read calls line for each line of a file and of what it includes.
func (r *sshdReader) read(name string, depth int, line func(place, keyword string, args []string)) error {
	if r.files++; r.files > maxSSHDFiles || depth > 16 {
		return fmt.Errorf("read %q: too many files are included", name)
	}
	data, err := fs.ReadFile(r.root, name)
	if err != nil {
		return err
	}
	num := 0
	for text := range strings.Lines(string(data)) {
		num++
		words := sshdWords(text)
		if len(words) == 0 {
			continue
		}
		line(fmt.Sprintf("/%s:%d", name, num), words[0], words[1:])
		if !strings.EqualFold(words[0], "include") {
			continue
		}
		for _, pattern := range words[1:] {
			if !strings.HasPrefix(pattern, "/") {
				pattern = "/etc/ssh/" + pattern
			}
			included, _ := fs.Glob(r.root, strings.TrimPrefix(path.Clean(pattern), "/"))
			for _, file := range included {
				if err := r.read(file, depth+1, line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sshdWords divides a line as sshd does: at blanks, with "=" behind the keyword,
// and double quotes.
func sshdWords(text string) []string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), " #")
	if text == "" || text[0] == '#' {
		return nil
	}
	var words []string
	var word strings.Builder
	quoted, any := false, false
	end := func() {
		if any {
			words = append(words, word.String())
		}
		word.Reset()
		any = false
	}
	for _, r := range text {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case !quoted && (r == ' ' || r == '\t' || r == '=' && len(words) == 0):
			end()
		default:
			word.WriteRune(r)
			any = true
		}
	}
	end()
	return words
}

// connectionFor returns a connection that the criteria of a Match line are for, as
// well as can be told.
func connectionFor(root fs.FS, criteria []string) string {
	change := map[string]string{}
	for i := 0; i < len(criteria); i++ {
		key, value, joined := strings.Cut(criteria[i], "=")
		if !joined {
			if i+1 >= len(criteria) {
				break // all, canonical
			}
			i++
			value = criteria[i]
		}
		value = example(value)
		switch strings.ToLower(key) {
		case "user":
			change["user"] = value
		case "group":
			if member := memberOf(root, value); member != "" {
				change["user"] = member
			}
		case "host":
			change["host"] = value
		case "address":
			address, _, _ := strings.Cut(value, "/")
			change["addr"] = address
		case "localaddress":
			address, _, _ := strings.Cut(value, "/")
			change["laddr"] = address
		case "localport":
			change["lport"] = value
		case "rdomain":
			change["rdomain"] = value
		}
	}
	return connectionSpec(change)
}

// example returns a text that the first pattern of a list matches; exclusions ("!") are
// left out.
func example(patterns string) string {
	for pattern := range strings.SplitSeq(patterns, ",") {
		if !strings.HasPrefix(pattern, "!") {
			return strings.NewReplacer("*", "x", "?", "x").Replace(pattern)
		}
	}
	return "mfa-doctor-nobody"
}

// memberOf returns one member of a group, or "".
func memberOf(root fs.FS, group string) string {
	for _, name := range members(root, group) {
		return name
	}
	return ""
}

// sshdChecks examines the settings of sshd for connections.
type sshdChecks struct {
	stack Stack
	limit time.Duration // server.login_timeout
	place string        // of the settings, for people
	where string        // file that mends it
	s     settings
	found []Finding
}

// ExamineSSHD asks sshd for its settings, also within each Match block, and returns what
// is wrong with them together with the stack of its service. Limit is
// server.login_timeout.
func ExamineSSHD(ctx context.Context, root fs.FS, sshd SSHD, stack Stack, limit time.Duration) []Finding {
	base, err := sshd(ctx, connectionSpec(nil))
	if err != nil {
		return []Finding{{
			Error, "sshd-config", "sshd", fmt.Sprintf("sshd does not take its configuration: %v", err),
			"At its next start nobody can log in by ssh.", "sshd -t",
		}}
	}
	c := sshdChecks{stack: stack, limit: limit, place: "sshd", where: "/etc/ssh/sshd_config.d/00-mfa.conf", s: parseSettings(base)}
	c.run()
	blocks, err := matches(root)
	if err != nil {
		c.add(Warning, "sshd-config", fmt.Sprintf("its Match blocks cannot be read: %v", err), "They may let somebody in without a second factor.", "make the file readable")
	}
	for _, m := range blocks {
		text, err := sshd(ctx, m.connection)
		if err != nil {
			c.add(Warning, "sshd-match", fmt.Sprintf("%s: %s: cannot be looked at: %v", m.place, m.text, err),
				"It may let somebody in without a second factor.", "sshd -T -C "+m.connection)
			continue
		}
		block := sshdChecks{
			stack: stack, limit: limit, place: "sshd (" + m.text + ")",
			where: m.place + ", within " + m.text, s: parseSettings(text),
		}
		block.run()
		for _, f := range block.found {
			// Findings that hold for everybody have been said.
			if !slices.ContainsFunc(c.found, func(g Finding) bool { return g.ID == f.ID && g.What == f.What }) {
				c.found = append(c.found, f)
			}
		}
	}
	if text, err := sshd(ctx, connectionSpec(map[string]string{"user": "root"})); err == nil && stack.Asks {
		c.s = parseSettings(text)
		c.root(hasKeys(root))
	}
	return c.found
}

func (c *sshdChecks) add(s Severity, id, what, why, mend string) {
	c.found = append(c.found, Finding{s, id, c.place, what, why, mend})
}

// put returns the advice to put line into c.where.
func (c *sshdChecks) put(line string) string { return "in " + c.where + ": " + line }

func (c *sshdChecks) run() {
	if !c.stack.Asks {
		return
	}
	if c.s.is("usepam", "no") {
		c.add(Error, "sshd-usepam", "UsePAM no: sshd does not ask PAM", "Nobody is asked for a second factor.", c.put("UsePAM yes"))
		return
	}
	c.keyboard()
	c.methods()
	c.times()
}

// keyboard: only keyboard-interactive can ask for a code; in one line nobody is asked.
func (c *sshdChecks) keyboard() {
	if c.stack.OneLine && c.s.is("passwordauthentication", "yes") {
		return // it carries both
	}
	if !c.keyboardOn() {
		c.add(Error, "sshd-keyboard-interactive", "KbdInteractiveAuthentication no: sshd cannot ask for a code",
			"Nobody gets in by a second factor: sshd's password method answers every question with the password.",
			c.put("KbdInteractiveAuthentication yes"))
		return
	}
	if c.s.is("passwordauthentication", "yes") && c.stack.Factors && !c.stack.Tolerant && c.offers("password") {
		c.add(Warning, "sshd-password", "PasswordAuthentication yes: clients may try sshd's password method first",
			"It cannot ask for a code and lets nobody in, but after it failed sshd drops a good login on the same connection too.",
			c.put("PasswordAuthentication no")+"; or in PAM: auth [success=ok ignore=ignore default=ok] pam_mfa.so")
	}
}

func (c *sshdChecks) keyboardOn() bool {
	if v := c.s.get("kbdinteractiveauthentication"); v != "" {
		return strings.EqualFold(v, "yes")
	}
	return c.s.is("challengeresponseauthentication", "yes") // before OpenSSH 8.7
}

// lists returns AuthenticationMethods, each list divided; nil: any one method does.
func (c *sshdChecks) lists() [][]string {
	var all [][]string
	for _, value := range c.s["authenticationmethods"] {
		for list := range strings.FieldsSeq(value) {
			if list == "any" {
				return nil
			}
			var methods []string
			for m := range strings.SplitSeq(list, ",") {
				m, _, _ = strings.Cut(m, ":")
				methods = append(methods, m)
			}
			all = append(all, methods)
		}
	}
	return all
}

// offers reports whether a method is in one of the lists.
func (c *sshdChecks) offers(method string) bool {
	lists := c.lists()
	return len(lists) == 0 || slices.ContainsFunc(lists, func(l []string) bool { return slices.Contains(l, method) })
}

// others are methods that do not come by PAM, and the keywords that turn them on.
var others = []struct{ method, keyword, written string }{
	{"publickey", "pubkeyauthentication", "PubkeyAuthentication"},
	{"hostbased", "hostbasedauthentication", "HostbasedAuthentication"},
	{"gssapi-with-mic", "gssapiauthentication", "GSSAPIAuthentication"},
}

// methods: no other method may let somebody in without the second factor, and a code must
// not be the only factor.
func (c *sshdChecks) methods() {
	lists := c.lists()
	for _, o := range others {
		if !c.s.is(o.keyword, "yes") || !c.alone(o.method) {
			continue
		}
		c.add(Warning, "sshd-"+o.method+"-bypass", fmt.Sprintf("%s yes: %s alone lets in, with no second factor", o.written, o.method),
			"sshd does not ask PAM to authenticate users who come by "+o.method+".",
			c.put("AuthenticationMethods "+o.method+",keyboard-interactive:pam")+"; or "+o.written+" no")
	}
	if c.stack.Factors {
		return
	}
	codeAlone := len(lists) == 0 || slices.ContainsFunc(lists, func(l []string) bool {
		at := slices.Index(l, "keyboard-interactive")
		return at == 0
	})
	if codeAlone {
		c.add(Error, "sshd-code-alone", "a code alone lets in: the stack asks for no password, and sshd for no key",
			"One factor is left where there should be two; users who need no second factor get in by nothing.",
			c.put("AuthenticationMethods publickey,keyboard-interactive:pam"))
	}
}

// alone reports whether a method that does not come by PAM lets in with no second factor.
func (c *sshdChecks) alone(method string) bool {
	lists := c.lists()
	return len(lists) == 0 || slices.ContainsFunc(lists, func(l []string) bool {
		return slices.Contains(l, method) && !slices.Contains(l, "keyboard-interactive") && !(c.stack.OneLine && slices.Contains(l, "password"))
	})
}

// Alone reports whether sshd lets somebody in by a method, like publickey, without asking PAM for
// a second factor. Text is the output of "sshd -T".
func Alone(text, method string) bool {
	c := sshdChecks{s: parseSettings(text)}
	return slices.ContainsFunc(others, func(o struct{ method, keyword, written string }) bool {
		return o.method == method && c.s.is(o.keyword, "yes") && c.alone(method)
	})
}

// RefusesRoot returns the setting by which sshd, with the settings of that text, refuses root where
// a code is typed, by keyboard-interactive or for a password, and whether it refuses root
// altogether; "" if it does not (sshd_config(5), PermitRootLogin).
func RefusesRoot(text string) (setting string, always bool) {
	v := parseSettings(text).get("permitrootlogin")
	if v == "yes" || v == "" {
		return "", false
	}
	return "PermitRootLogin " + v, v == "no"
}

// times: sshd must not end a login before mfad does.
func (c *sshdChecks) times() {
	grace, err := strconv.Atoi(c.s.get("logingracetime"))
	if err == nil && grace > 0 && time.Duration(grace)*time.Second <= c.limit {
		c.add(Warning, "sshd-grace", fmt.Sprintf("LoginGraceTime %ds is not above server.login_timeout %v", grace, c.limit),
			"sshd ends the login without a word while somebody still looks for the code.",
			c.put("LoginGraceTime "+strconv.Itoa(int(c.limit/time.Second)+20))+"; or a shorter login_timeout in mfa.toml")
	}
	begin, _, _ := strings.Cut(c.s.get("maxstartups"), ":")
	if n, err := strconv.Atoi(begin); err == nil && n < 30 {
		c.add(OK, "sshd-startups", fmt.Sprintf("MaxStartups %s: from %d logins under way on sshd turns some away", c.s.get("maxstartups"), n),
			"A login now takes as long as a code takes to come, so more of them are under way at once.",
			c.put("MaxStartups 100:30:300"))
	}
}

// root: sshd refuses root by keyboard-interactive unless PermitRootLogin is yes, and so by a key and
// a code. Where root has keys, somebody may have no other way in.
func (c *sshdChecks) root(keys bool) {
	v := c.s.get("permitrootlogin")
	if v == "yes" || v == "no" || v == "" {
		return
	}
	lists := c.lists()
	if len(lists) > 0 && !slices.ContainsFunc(lists, func(l []string) bool { return !slices.Contains(l, "keyboard-interactive") }) {
		what := "PermitRootLogin " + v + " keeps root out: every way in goes by keyboard-interactive"
		if !keys {
			c.add(OK, "sshd-root", what, "", "log in as yourself and use sudo")
			return
		}
		c.add(Warning, "sshd-root", what, "Whoever logged in as root by a key cannot, whatever code they type.",
			"see that you get in as yourself, and use sudo; or "+c.put("PermitRootLogin yes"))
	}
}

// hasKeys reports whether root has keys for ssh, where sshd looks for them unless it is told else.
func hasKeys(root fs.FS) bool {
	for _, name := range []string{"root/.ssh/authorized_keys", "root/.ssh/authorized_keys2"} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				return true
			}
		}
	}
	return false
}

// members returns who is in a group by /etc/group and, for a primary group,
// /etc/passwd.
func members(root fs.FS, group string) []string {
	gid := ""
	var found []string
	eachLine(root, "etc/group", func(fields []string) {
		if len(fields) >= 4 && fields[0] == group {
			gid = fields[2]
			for name := range strings.SplitSeq(fields[3], ",") {
				if name != "" {
					found = append(found, name)
				}
			}
		}
	})
	if gid == "" {
		return nil
	}
	eachLine(root, "etc/passwd", func(fields []string) {
		if len(fields) >= 4 && fields[3] == gid && !slices.Contains(found, fields[0]) {
			found = append(found, fields[0])
		}
	})
	return found
}

// eachLine calls do with the fields of each line of passwd(5) or group(5).
func eachLine(root fs.FS, name string, do func(fields []string)) {
	f, err := root.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		do(strings.Split(lines.Text(), ":"))
	}
}
