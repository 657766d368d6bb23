// Package contactstest is the other end of a look-up: an OpenLDAP server of one test, and
// what stands before one and holds what is said.
package contactstest

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"mfa/internal/deliver/delivertest"
)

// Names in the directory of a Slapd.
const (
	Suffix = "dc=example,dc=com"
	People = "ou=people," + Suffix
	Others = "ou=others," + Suffix
	Reader = "cn=mfa," + Suffix // who may search, with ReaderPassword; so may anybody else

	ReaderPassword = "Rd7-reader-of-the-directory"

	admin, adminPassword = "cn=admin," + Suffix, "admin"
)

// A Slapd is a real OpenLDAP server with a directory of its own.
type Slapd struct {
	Port, TLSPort int    // of 127.0.0.1: plain and STARTTLS, and TLS from the first byte
	CAFile        string // that signed its certificate

	dir string
	cmd *exec.Cmd
}

// StartSlapd runs slapd until the test ends, with a certificate for names, or for
// 127.0.0.1. Without slapd the test is skipped, but fails when CI=true.
func StartSlapd(t testing.TB, names ...string) *Slapd {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/slapd"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("slapd is not installed (Debian: slapd)")
		}
		t.Skip("slapd is not installed (Debian: slapd)")
	}
	if len(names) == 0 {
		names = []string{"127.0.0.1"}
	}
	ca := delivertest.NewCA(t)
	s := &Slapd{Port: freePort(t), TLSPort: freePort(t), CAFile: ca.File, dir: t.TempDir()}
	cert := ca.Issue(t, names...)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	ok(t, err)
	s.write(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	s.write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	ok(t, os.Mkdir(filepath.Join(s.dir, "db"), 0o700))
	s.write(t, "slapd.conf", []byte(s.config()))
	s.write(t, "begin.ldif", []byte(begin))
	if out, err := exec.CommandContext(t.Context(), "/usr/sbin/slapadd", "-q", "-f", s.path("slapd.conf"), "-l", s.path("begin.ldif")).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.Start(t)
	t.Cleanup(func() { s.Stop(t) })
	return s
}

// begin is what stands in every directory.
const begin = "dn: " + Suffix + "\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n" +
	"dn: " + People + "\nobjectClass: organizationalUnit\nou: people\n\n" +
	"dn: " + Others + "\nobjectClass: organizationalUnit\nou: others\n\n" +
	"dn: " + Reader + "\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mfa\nuserPassword: " + ReaderPassword + "\n"

func (s *Slapd) config() string {
	return strings.NewReplacer("@DIR@", s.dir, "@CA@", s.CAFile, "@SUFFIX@", Suffix, "@ADMIN@", admin, "@SECRET@", adminPassword).Replace(`
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile @DIR@/pid
argsfile @DIR@/args
TLSCACertificateFile @CA@
TLSCertificateFile @DIR@/cert.pem
TLSCertificateKeyFile @DIR@/key.pem
access to attrs=userPassword by anonymous auth by * none
access to * by * read
database mdb
suffix "@SUFFIX@"
rootdn "@ADMIN@"
rootpw @SECRET@
directory @DIR@/db
maxsize 16777216
`)
}

// Start runs the server again.
func (s *Slapd) Start(t testing.TB) {
	t.Helper()
	log, err := os.Create(s.path("log"))
	ok(t, err)
	defer log.Close()
	s.cmd = exec.Command("/usr/sbin/slapd", "-d", "0", "-f", s.path("slapd.conf"), "-h",
		fmt.Sprintf("ldap://127.0.0.1:%d ldaps://127.0.0.1:%d", s.Port, s.TLSPort))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ok(t, s.cmd.Start())
	for range 3000 {
		c, err := net.Dial("tcp", address(s.TLSPort))
		if err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	said, _ := os.ReadFile(s.path("log"))
	t.Fatalf("slapd does not listen:\n%s", said)
}

// Stop ends the server, which may have ended.
func (s *Slapd) Stop(t testing.TB) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Add makes an entry of a user below an organizational unit, such as People.
func (s *Slapd) Add(t testing.TB, below, uid string, attributes map[string][]string) {
	t.Helper()
	add := ldap.NewAddRequest("uid="+ldap.EscapeDN(uid)+","+below, nil)
	classes := []string{"inetOrgPerson"}
	if attributes["uidNumber"] != nil {
		classes = append(classes, "posixAccount")
		add.Attribute("gidNumber", []string{"100"})
		add.Attribute("homeDirectory", []string{"/"})
	}
	add.Attribute("objectClass", classes)
	add.Attribute("cn", []string{uid})
	add.Attribute("sn", []string{uid})
	for name, values := range attributes {
		add.Attribute(name, values)
	}
	s.change(t, func(c *ldap.Conn) error { return c.Add(add) })
}

// Set gives a user of People these values of an attribute, and no others.
func (s *Slapd) Set(t testing.TB, uid, attribute string, values ...string) {
	t.Helper()
	modify := ldap.NewModifyRequest("uid="+uid+","+People, nil)
	modify.Replace(attribute, values)
	s.change(t, func(c *ldap.Conn) error { return c.Modify(modify) })
}

func (s *Slapd) change(t testing.TB, do func(c *ldap.Conn) error) {
	t.Helper()
	c, err := ldap.DialURL(s.URL())
	ok(t, err)
	defer c.Close()
	ok(t, c.Bind(admin, adminPassword))
	ok(t, do(c))
}

// URL is for a connection that begins in clear.
func (s *Slapd) URL() string { return "ldap://" + address(s.Port) }

// TLSURL is for one that does not.
func (s *Slapd) TLSURL() string { return "ldaps://" + address(s.TLSPort) }

func (s *Slapd) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Slapd) write(t testing.TB, name string, text []byte) {
	t.Helper()
	ok(t, os.WriteFile(s.path(name), text, 0o600))
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
