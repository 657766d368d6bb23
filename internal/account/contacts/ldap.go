package contacts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// An ldapSource asks servers of one directory, one after another, each by a connection
// of its own.
type ldapSource struct {
	cfg      account.LDAPConfig
	servers  []*ldapServer
	roots    *x509.CertPool // nil: those of the system
	password string
	filter   fieldTemplate
	now      func() time.Time
}

// An ldapServer is one of them.
type ldapServer struct {
	address  string // host and port
	host     string // that its certificate is for
	implicit bool   // TLS from the first byte

	mu     sync.Mutex // guards failed
	failed time.Time  // when it did not answer; zero: it did
}

// spared is how long a server that did not answer is asked last.
const spared = time.Minute

func newLDAP(cfg account.LDAPConfig, opts Options) (*ldapSource, error) {
	s := &ldapSource{cfg: cfg, now: opts.Now}
	for _, text := range cfg.URLs {
		server, err := parseServer(text, cfg.StartTLS)
		if err != nil {
			return nil, fmt.Errorf("contacts.ldap.urls: %w", err)
		}
		s.servers = append(s.servers, server)
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("contacts.ldap.ca_file: read %w", carrier.PathFirst(err))
		}
		if s.roots = x509.NewCertPool(); !s.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("contacts.ldap.ca_file: %q holds no certificate", cfg.CAFile)
		}
	}
	var err error
	if cfg.PasswordFile != "" {
		if s.password, err = carrier.ReadSecret("contacts.ldap.password_file", cfg.PasswordFile, opts.Log); err != nil {
			return nil, err
		}
	}
	if s.filter, err = parseFields("contacts.ldap.filter", cfg.Filter); err != nil {
		return nil, err
	}
	if err := s.filter.rehearse(); err != nil {
		return nil, err
	}
	text, err := s.filter.text(mfa.Identity{Name: "alice", UID: 1000}, ldap.EscapeFilter)
	if err == nil {
		_, err = ldap.CompileFilter(text)
	}
	if err != nil {
		return nil, fmt.Errorf("contacts.ldap.filter: %w", err)
	}
	return s, nil
}

// parseServer reads ldaps://HOST[:PORT] or ldap://HOST[:PORT]. Without TLS a server is on
// this machine: whoever sits between could say where codes go.
func parseServer(text string, startTLS bool) (*ldapServer, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is not like ldaps://ldap.example.com", text)
	}
	ports := map[string]string{"ldaps": "636", "ldap": "389"}
	port, known := ports[u.Scheme]
	if !known {
		return nil, fmt.Errorf("%q is neither ldaps:// nor ldap://", text)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "ldap" && !startTLS && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%q without starttls is for a server on this machine: on the way, anybody could say where codes go", text)
	}
	return &ldapServer{address: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), implicit: u.Scheme == "ldaps"}, nil
}

// look implements source.
func (s *ldapSource) look(ctx context.Context, id mfa.Identity) (values, error) {
	filter, err := s.filter.text(id, ldap.EscapeFilter)
	if err != nil {
		return values{}, err
	}
	var words []string
	for _, server := range s.order(s.now()) {
		v, err := s.askServer(ctx, server, filter, id)
		if server.note(err, s.now()); !errors.Is(err, errDown) {
			return v, err
		}
		words = append(words, err.Error())
		if ctx.Err() != nil {
			break
		}
	}
	return values{}, down{errors.New(strings.Join(words, "; "))}
}

// order returns the servers as they are listed, those last that did not answer lately.
func (s *ldapSource) order(now time.Time) []*ldapServer {
	all := slices.Clone(s.servers)
	slices.SortStableFunc(all, func(a, b *ldapServer) int { return a.rank(now) - b.rank(now) })
	return all
}

func (s *ldapServer) rank(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.failed).Abs() < spared {
		return 1
	}
	return 0
}

// note remembers whether the server answered, at the time now.
func (s *ldapServer) note(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed = (time.Time{}); errors.Is(err, errDown) {
		s.failed = now
	}
}

// askServer is one exchange with a server. Its error names the server and the step.
func (s *ldapSource) askServer(ctx context.Context, server *ldapServer, filter string, id mfa.Identity) (values, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(s.cfg.Timeout), fmt.Errorf("not done within contacts.ldap.timeout, %v", s.cfg.Timeout))
	defer cancel()
	fail := func(step string, err error) (values, error) {
		return values{}, serverError(ctx, server.address, step, err)
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.address)
	if err != nil {
		return fail("connect", err)
	}
	defer raw.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(end.Add(time.Second)) // the library has no end of its own for a handshake
	}
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	secure := &tls.Config{ServerName: server.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	conn := raw
	if server.implicit {
		over := tls.Client(raw, secure)
		if err := over.HandshakeContext(ctx); err != nil {
			return fail("TLS", err)
		}
		conn = over
	}
	c := ldap.NewConn(conn, server.implicit)
	c.Start()
	defer c.Close()
	if !server.implicit && s.cfg.StartTLS {
		if err := c.StartTLS(secure); err != nil {
			return fail("STARTTLS", err)
		}
	}
	if s.cfg.BindDN != "" {
		if err := c.Bind(s.cfg.BindDN, s.password); err != nil {
			return fail("bind as "+s.cfg.BindDN, err)
		}
	}
	v, err := s.search(c, filter, id)
	if err != nil {
		return fail("search", err)
	}
	return v, nil
}

// search finds the one entry that filter, which was made for id, is for.
func (s *ldapSource) search(c *ldap.Conn, filter string, id mfa.Identity) (values, error) {
	attributes := slices.DeleteFunc([]string{s.cfg.Email, s.cfg.Phone, attributeUID, attributeNumber}, func(a string) bool { return a == "" })
	request := ldap.NewSearchRequest(s.cfg.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		2, int(time.Duration(s.cfg.Timeout)/time.Second), false, filter, attributes, nil)
	request.EnforceSizeLimit = true
	found, err := c.Search(request)
	switch {
	case found != nil && len(found.Entries) > 1, ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return values{}, account.ErrTwoEntries
	case err != nil:
		return values{}, err
	case len(found.Entries) == 0 && len(found.Referrals) > 0:
		return values{}, errors.New("it has no entry, and names other servers that may: set contacts.ldap.base below what this one has")
	case len(found.Entries) == 0:
		return values{}, nil
	}
	if err := isOf(found.Entries[0], id); err != nil {
		return values{}, err
	}
	var v values
	if s.cfg.Email != "" {
		v.emails = found.Entries[0].GetEqualFoldAttributeValues(s.cfg.Email)
	}
	if s.cfg.Phone != "" {
		v.phones = found.Entries[0].GetEqualFoldAttributeValues(s.cfg.Phone)
	}
	return v, nil
}

// Attributes that say whose an entry is (RFC 4519, section 2.39; RFC 2307, section 2.2).
const attributeUID, attributeNumber = "uid", "uidNumber"

// isOf says what is wrong with an entry whose name differs from the account's in case alone:
// LDAP takes both for one, and NSS does not. It is the account's if it has its number.
func isOf(e *ldap.Entry, id mfa.Identity) error {
	names := e.GetEqualFoldAttributeValues(attributeUID)
	if slices.Contains(names, id.Name) || !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, id.Name) }) {
		return nil
	}
	if slices.Contains(e.GetEqualFoldAttributeValues(attributeNumber), strconv.FormatUint(uint64(id.UID), 10)) {
		return nil
	}
	return errors.New("its entry has the name of the account in letters of another case, and not its number as uidNumber: it may be somebody else's")
}

// answers are what a server says that has understood: another one says the same.
var answers = []uint16{
	ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultStrongAuthRequired,
	ldap.LDAPResultConfidentialityRequired, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultNoSuchObject,
	ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultReferral, ldap.LDAPResultOperationsError, ldap.LDAPResultUnwillingToPerform,
}

// maxWords bounds what is told of an error of a server.
const maxWords = 400

// serverError says what came of a step. The words of the server are made fit for a log.
func serverError(ctx context.Context, server, step string, err error) error {
	if errors.Is(err, account.ErrTwoEntries) {
		return err
	}
	text := err.Error()
	if cause := context.Cause(ctx); cause != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		text = "no answer in time"
		if cause != nil {
			text = cause.Error()
		}
	}
	said := errors.New("LDAP server " + server + ": " + step + ": " + deliver.ASCII(carrier.OneLine(text), maxWords))
	if ldap.IsErrorAnyOf(err, answers...) || step == "search" && !isNetwork(err) {
		return said
	}
	return down{said}
}

// isNetwork says whether the connection failed, and not what was asked.
func isNetwork(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultTimeLimitExceeded) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
}
