package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"

	"mfa/internal/mfa"
)

// local is the address of a login that does not come over a network.
const local = "local"

// OriginOf returns where a request comes from. SSH_CONNECTION, which sshd writes itself,
// is preferred over PAM_RHOST, which may be a host name that the client's owner chose in
// DNS; it counts only if it parses strictly. Of a peer that is not root the server has
// cleared SSH_CONNECTION and SSH_AUTH_INFO_0, and PAM_RHOST unless server.trusted_users
// names it. A service or host name that is not plain is escaped, so that it equals no
// plain one.
//
// Both variables count for any service of a peer that is root, as sshd may ask by another
// name (PAMServiceName in sshd_config(5)). They come from the PAM environment
// (pam_getenv(3)), into which pam_env puts what a user wrote only with pam_setcred(3) or
// later, after the login was decided. First factors are proven more strictly: see
// provenFactors.
func OriginOf(req mfa.Request) mfa.Origin {
	o := mfa.Origin{Service: escaped(req.Service, ""), Key: keyFingerprint(req.SSHAuthInfo), UID: req.UID}
	if client, server, ok := sshEnds(req.SSHConnection); ok {
		o.Address, o.Here = client, client == server
	} else if a, ok := address(req.RHost); ok {
		o.Address = a
	} else if req.RHost == "" {
		o.Address = local
	} else if o.Address = escaped(strings.ToLower(req.RHost), ":%"); o.Address == local {
		o.Address = strconv.Quote(local) // a host of that name
	}
	return o
}

// maxPlain bounds a plain name, in bytes.
const maxPlain = 128

// IsPlain reports whether the name of a service is plain: 1 to 128 letters, digits, and
// _ . - @ +. Files in /etc/pam.d have such names. No rule of the policy matches another
// name.
func IsPlain(service string) bool { return isPlainWith(service, "") }

func isPlainWith(s, more string) bool {
	odd := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("_.-@+"+more, r)
	}
	return s != "" && len(s) <= maxPlain && !strings.ContainsFunc(s, odd)
}

// escaped returns a plain name as it is; the characters of more are plain too. It returns
// any other name quoted, as one printable word of ASCII without a bar. Different names
// give different results.
func escaped(s, more string) string {
	if isPlainWith(s, more) {
		return s
	}
	return strings.NewReplacer(" ", `\x20`, "|", `\x7c`).Replace(strconv.QuoteToASCII(s))
}

// sshEnds returns the addresses of SSH_CONNECTION: four words, address and port of
// the client, then of the server.
func sshEnds(s string) (client, server string, ok bool) {
	f := strings.Split(s, " ")
	if len(f) != 4 || !port(f[1]) || !port(f[3]) {
		return "", "", false
	}
	client, isClient := address(f[0])
	server, isServer := address(f[2])
	return client, server, isClient && isServer
}

// port says whether s is a TCP port in decimal.
func port(s string) bool {
	_, err := netip.ParseAddrPort("127.0.0.1:" + s)
	return err == nil
}

// address returns an IP address in the one form that equal addresses share:
// no zone, and IPv4 not mapped into IPv6.
func address(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	return a.Unmap().WithZone("").String(), true
}

// keyFingerprint returns the fingerprint, as ssh-keygen -l prints it, of the
// SSH key that was proven, or "". SSH_AUTH_INFO_0 has a line for each method
// passed; a key's line is "publickey", its type and the key in base64.
func keyFingerprint(authInfo string) string {
	for line := range strings.Lines(authInfo) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "publickey" {
			continue
		}
		if blob, err := base64.StdEncoding.DecodeString(f[2]); err == nil && len(blob) > 0 {
			sum := sha256.Sum256(blob)
			return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}
