package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strings"

	"mfa/internal/mfa"
)

// local is the address of a login that comes over no network.
const local = "local"

// OriginOf says where a request comes from. SSH_CONNECTION, which sshd writes
// itself, is preferred over PAM_RHOST, which may be a host name that the
// client's owner chose in DNS; it counts only if it parses strictly.
func OriginOf(req mfa.Request) mfa.Origin {
	o := mfa.Origin{Service: clean(req.Service), Key: keyFingerprint(req.SSHAuthInfo)}
	if a, ok := sshClient(req.SSHConnection); ok {
		o.Address = a
	} else if a, ok := address(req.RHost); ok {
		o.Address = a
	} else if host := clean(strings.ToLower(req.RHost)); host != "" {
		if _, is := address(host); is {
			host = "?" + host // it was none before we cleaned it
		}
		o.Address = host
	} else {
		o.Address = local
	}
	return o
}

// sshClient returns the client's address of SSH_CONNECTION: four words, address
// and port of the client, then of the server.
func sshClient(s string) (string, bool) {
	f := strings.Split(s, " ")
	if len(f) != 4 {
		return "", false
	}
	for i := 0; i < 4; i += 2 {
		if _, ok := address(f[i]); !ok || !port(f[i+1]) {
			return "", false
		}
	}
	return address(f[0])
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

// clean drops what could break a line or an origin's words apart.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '|' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
}
