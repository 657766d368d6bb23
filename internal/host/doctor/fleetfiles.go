package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// expiresSoon is how long before its end a certificate is told of.
const expiresSoon = 30 * 24 * time.Hour

// certificates: one that expires keeps this host from etcd, and so everybody out.
func (e *exam) certificates() {
	for _, file := range []struct{ key, path string }{
		{"store.etcd.cert_file", e.cfg.Store.Etcd.CertFile}, {"store.etcd.ca_file", e.cfg.Store.Etcd.CAFile},
	} {
		key, path := file.key, file.path
		if !filepath.IsAbs(path) {
			continue // none, or systemd's to keep
		}
		until, err := earliestEnd(e.path(path))
		if err != nil {
			e.add(Finding{Error, "fleet-certificate", path, fmt.Sprintf("%s cannot be read: %v", key, err), "mfad does not start with it.", "put the certificate there, as PEM"})
			continue
		}
		if f := expires(path, "the certificate of "+key, until, time.Now()); f != nil {
			e.add(*f)
			continue
		}
		e.ok("fleet-certificate", path, "is good until "+until.Format(time.DateOnly))
	}
}

// earliestEnd returns when the first of the certificates in a file expires.
func earliestEnd(path string) (until time.Time, err error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return until, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return until, err
		}
		if until.IsZero() || cert.NotAfter.Before(until) {
			until = cert.NotAfter
		}
	}
	if until.IsZero() {
		return until, fmt.Errorf("%q holds no certificate", path)
	}
	return until, nil
}

// expires returns what is wrong with a certificate that is good until then, nil if nothing
// is. The zero time is that of none.
func expires(where, whose string, until, now time.Time) *Finding {
	left := until.Sub(now)
	switch {
	case until.IsZero() || left > expiresSoon:
		return nil
	case left <= 0:
		return &Finding{
			Error, "fleet-certificate", where, whose + " expired on " + until.Format(time.DateOnly),
			"Hosts and members do not speak with each other by it: " + strings.ToLower(refusesAll[:1]) + refusesAll[1:], "a new certificate, then restart what uses it (docs/fleet.md)",
		}
	}
	return &Finding{
		Warning, "fleet-certificate", where, fmt.Sprintf("%s expires on %s, in %d days", whose, until.Format(time.DateOnly), int(left.Hours()/24)),
		"From then on every login that needs a second factor is refused.", "a new certificate, then restart what uses it (docs/fleet.md)",
	}
}

// etcdSecrets: whoever reads them may write in etcd as this host does.
func (e *exam) etcdSecrets() {
	for _, file := range []struct{ key, path string }{
		{"store.etcd.key_file", e.cfg.Store.Etcd.KeyFile}, {"store.etcd.password_file", e.cfg.Store.Etcd.PasswordFile},
	} {
		key, path := file.key, file.path
		if !filepath.IsAbs(path) {
			continue
		}
		info, err := os.Stat(e.path(path))
		switch {
		case err != nil:
			e.add(Finding{Error, "fleet-secret", path, fmt.Sprintf("%s cannot be read: %v", key, err), "mfad does not start with it.", "put the file there"})
		case info.Mode().Perm()&0o006 != 0:
			e.add(Finding{
				Error, "fleet-secret", path, fmt.Sprintf("has mode %04o", info.Mode().Perm()),
				"Every user of this machine could change etcd as this host does, and so let a used code count again.", "chmod 0600 " + path,
			})
		case ownerOf(info) != 0 && ownerOf(info) != e.daemonUID():
			e.add(Finding{
				Error, "fleet-secret", path, fmt.Sprintf("belongs to uid %d, who is neither root nor mfad", ownerOf(info)),
				"That user could change etcd as this host does.", fmt.Sprintf("chown %d %s", e.daemonUID(), path),
			})
		}
	}
}
