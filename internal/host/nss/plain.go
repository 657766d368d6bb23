package nss

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"

	"mfa/internal/mfa"
)

// passwdFile is what the source "files" reads; see passwd(5).
var passwdFile = "/etc/passwd"

// A Plain holds the accounts that /etc/passwd alone settles. It saves look-ups for callers
// that need many: each reads that file from its beginning. The zero Plain is empty. It may
// be used from many goroutines.
type Plain struct {
	names map[uint32]string // that the file has first for a uid
	uids  map[string]uint32 // that it has first for a name
}

// ReadPlain reads the file, once. The result is empty if NSS asks another source first, or
// may go on after an answer (an action for SUCCESS, or one for all statuses but another, in
// nsswitch.conf(5)), or if the file holds anything that libc might read in another way.
func ReadPlain() Plain {
	config, err := os.ReadFile(configFile)
	if err != nil && !os.IsNotExist(err) {
		return Plain{}
	}
	accounts, err := os.ReadFile(passwdFile)
	if err != nil {
		return Plain{}
	}
	return parsePlain(config, accounts)
}

// parsePlain is ReadPlain of what the two files hold.
func parsePlain(config, accounts []byte) Plain {
	if line, ok := lineOf(config, passwd); ok {
		words := strings.Fields(strings.ToLower(line))
		if len(words) == 0 || words[0] != "files" || strings.Contains(line, "!") || strings.Contains(strings.ToLower(line), "success") {
			return Plain{}
		}
	}
	p := Plain{map[uint32]string{}, map[string]uint32{}}
	lines := bufio.NewScanner(bytes.NewReader(accounts))
	for lines.Scan() {
		if line := lines.Bytes(); len(line) > 0 && line[0] != '#' && !p.add(line) {
			return Plain{}
		}
	}
	if lines.Err() != nil {
		return Plain{}
	}
	return p
}

// add takes in a line of the file. It reports false for one that is not as passwd(5) has
// it, letter by letter.
func (p Plain) add(line []byte) bool {
	if bytes.Count(line, []byte(":")) != 6 || bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte([]byte(":+- \t\v\f\r"), line[0]) >= 0 {
		return false
	}
	fields := bytes.SplitN(line, []byte(":"), 5)
	uid, uidOK := number(string(fields[2]))
	if _, gidOK := number(string(fields[3])); !uidOK || !gidOK {
		return false
	}
	name := string(fields[0])
	if _, has := p.names[uid]; !has {
		p.names[uid] = name
	}
	if _, has := p.uids[name]; !has {
		p.uids[name] = uid
	}
	return true
}

// number reads a number of digits alone.
func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && s[0] != '+'
}

// Has reports whether LookupUID of id.UID would surely return id.
func (p Plain) Has(id mfa.Identity) bool {
	name, known := p.names[id.UID]
	uid, back := p.uids[id.Name]
	return known && back && name == id.Name && uid == id.UID
}

// Account returns the account that Lookup of the name is sure to return; known is false
// where that has to be asked.
func (p Plain) Account(name string) (id mfa.Identity, known bool) {
	if uid, has := p.uids[name]; has && p.Has(mfa.Identity{Name: name, UID: uid}) {
		return mfa.Identity{Name: name, UID: uid}, true
	}
	return mfa.Identity{}, false
}
