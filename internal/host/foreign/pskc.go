package foreign

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mfa/internal/factor/otp"
)

// A Token is what a list says of one token.
type Token struct {
	Place string // in the list, for people
	User  string // whose it is; empty: the list does not say
	App   App
	Err   error // why it cannot be taken over; then App has the serial number alone
}

// pskcSpace is the name space of RFC 6030.
const pskcSpace = "urn:ietf:params:xml:ns:keyprov:pskc"

// maxTokens bounds the tokens of one list.
const maxTokens = 100_000

// A container is a PSKC KeyContainer (RFC 6030, section 4).
type container struct {
	XMLName       xml.Name
	EncryptionKey *struct {
		KeyName    string
		DerivedKey *struct{}
	}
	MACMethod *macMethod
	Packages  []keyPackage `xml:"KeyPackage"`
	Signature *struct{}
}

type keyPackage struct {
	Serial string `xml:"DeviceInfo>SerialNo"`
	User   string `xml:"DeviceInfo>UserId"`
	Keys   []key  `xml:"Key"`
}

type key struct {
	ID        string `xml:"Id,attr"`
	Algorithm string `xml:",attr"`
	User      string `xml:"UserId"`
	Suite     string `xml:"AlgorithmParameters>Suite"`
	Response  *struct {
		Encoding    string `xml:",attr"`
		Length      int    `xml:",attr"`
		CheckDigits bool   `xml:",attr"`
	} `xml:"AlgorithmParameters>ResponseFormat"`
	Challenge *struct{} `xml:"AlgorithmParameters>ChallengeFormat"`
	Data      struct{ Secret, Counter, Time, TimeInterval, TimeDrift value }
	Policy    *keyPolicy
}

// A value is plain, or encrypted.
type value struct {
	Plain     string         `xml:"PlainValue"`
	Encrypted *encryptedData `xml:"EncryptedValue"`
	MAC       string         `xml:"ValueMAC"`
}

// there says whether there is a value.
func (v value) there() bool { return v.Plain != "" || v.Encrypted != nil }

type keyPolicy struct {
	StartDate, ExpiryDate string
	Usage                 []string `xml:"KeyUsage"`
	PIN                   *struct {
		Mode string `xml:"PINUsageMode,attr"`
	} `xml:"PINPolicy"`
}

// PSKC reads a list of tokens (RFC 6030): plain, or encrypted with AES in CBC mode under a
// key that was shared before and bound with an HMAC. Every token is in the result, those
// that cannot be taken over with the reason. An error is about the whole list: it cannot be
// read, or was changed on its way. Signatures are not looked at: signed says that there is
// one, for pskctool(1). Shared may be nil. Now says whether a token has expired.
func PSKC(text []byte, shared []byte, now time.Time) (all []Token, signed bool, err error) {
	var c container
	dec := xml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&c); err != nil {
		return nil, false, fmt.Errorf("parse PSKC: %w", xmlError(err, dec))
	}
	if c.XMLName.Local != "KeyContainer" || c.XMLName.Space != pskcSpace {
		return nil, false, fmt.Errorf("parse PSKC: it is not a KeyContainer of %s (RFC 6030)", pskcSpace)
	}
	for rest, err := dec.Token(); !errors.Is(err, io.EOF); rest, err = dec.Token() {
		if err != nil || !isSpace(rest) {
			return nil, false, errors.New("parse PSKC: something follows the KeyContainer")
		}
	}
	open, err := newOpener(c, shared)
	if err != nil {
		return nil, false, err
	}
	for i, p := range c.Packages {
		for _, k := range p.Keys {
			if len(all) == maxTokens {
				return nil, false, fmt.Errorf("more than %d tokens", maxTokens)
			}
			t := Token{Place: fmt.Sprintf("KeyPackage %d", i+1), User: userOf(strings.TrimSpace(k.User), strings.TrimSpace(p.User))}
			t.App, t.Err = k.app(open, now)
			if errors.Is(t.Err, errChanged) {
				return nil, false, fmt.Errorf("%s: %w", t.Place, t.Err)
			}
			if t.App.Serial = strings.TrimSpace(p.Serial); t.App.Serial == "" {
				t.App.Serial = strings.TrimSpace(k.ID)
			}
			all = append(all, t)
		}
	}
	return all, c.Signature != nil, nil
}

// xmlError says where a text is no XML. Nothing of the text is in it: it may be a secret.
func xmlError(err error, dec *xml.Decoder) error {
	line, _ := dec.InputPos()
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty, or cut short")
	}
	if _, is := errors.AsType[*xml.SyntaxError](err); is {
		return fmt.Errorf("line %d: it is no XML, or cut short", line)
	}
	return fmt.Errorf("line %d: a value of the wrong kind", line)
}

// isSpace says whether t means nothing.
func isSpace(t xml.Token) bool {
	switch t := t.(type) {
	case xml.CharData:
		return len(bytes.TrimSpace(t)) == 0
	case xml.Comment:
		return true
	}
	return false
}

// userOf returns the name of a user: as it is, or what UID, or else CN, is in a
// distinguished name (RFC 4514).
func userOf(names ...string) string {
	for _, name := range names {
		if !strings.Contains(name, "=") {
			if name != "" {
				return name
			}
			continue
		}
		for _, kind := range []string{"UID", "CN"} {
			for part := range strings.SplitSeq(name, ",") {
				attr, value, _ := strings.Cut(strings.TrimSpace(part), "=")
				if strings.EqualFold(strings.TrimSpace(attr), kind) {
					return strings.TrimSpace(value)
				}
			}
		}
	}
	return ""
}

// app returns the token that k is.
func (k key) app(open *opener, now time.Time) (App, error) {
	a := App{Params: otp.Params{Digits: 6, Algorithm: "SHA1"}}
	byTime := k.Algorithm == pskcSpace+":totp"
	switch {
	case !byTime && k.Algorithm != pskcSpace+":hotp":
		return App{}, fmt.Errorf("its algorithm is %q: want hotp or totp of RFC 6030, section 10", short(k.Algorithm))
	case k.Challenge != nil:
		return App{}, errors.New("it answers challenges, which has no place here")
	}
	if err := k.Policy.check(now); err != nil {
		return App{}, err
	}
	if err := k.response(&a.Params); err != nil {
		return App{}, err
	}
	var err error
	if a.Secret, err = open.bytes(k.Data.Secret); err != nil {
		return App{}, fmt.Errorf("secret: %w", err)
	}
	if byTime {
		err = k.time(open, &a)
	} else if a.Count, err = open.number(k.Data.Counter, 0); err != nil {
		err = fmt.Errorf("counter: %w", err)
	}
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return App{}, err
	}
	return a, nil
}

// response reads how a code looks.
func (k key) response(p *otp.Params) error {
	if r := k.Response; r != nil {
		switch {
		case r.Encoding != "" && r.Encoding != "DECIMAL":
			return fmt.Errorf("its codes are %q, not digits", short(r.Encoding))
		case r.CheckDigits:
			return errors.New("its codes have a check digit, which has no place here")
		case r.Length != 0:
			p.Digits = r.Length
		}
	}
	switch strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(k.Suite)), "HMAC-") {
	case "", "SHA1", "SHA-1":
	case "SHA256", "SHA-256":
		p.Algorithm = "SHA256"
	case "SHA512", "SHA-512":
		p.Algorithm = "SHA512"
	default:
		return fmt.Errorf("its suite is %q: want HMAC-SHA1, HMAC-SHA256 or HMAC-SHA512", short(k.Suite))
	}
	return nil
}

// time reads what a token by time says of time.
func (k key) time(open *opener, a *App) error {
	period, err := open.number(k.Data.TimeInterval, 30)
	if err != nil {
		return fmt.Errorf("time interval: %w", err)
	}
	if period < 1 || period > 3600 {
		return errors.New("time interval: want 1 to 3600 seconds")
	}
	a.Params.Period = time.Duration(period) * time.Second
	if drift, err := open.number(k.Data.TimeDrift, 0); err != nil || drift != 0 {
		a.Notes = append(a.Notes, "its clock was off, and totp.skew says how far it may be")
	}
	return nil
}

// check refuses a token that may not be used here.
func (p *keyPolicy) check(now time.Time) error {
	if p == nil {
		return nil
	}
	if end := strings.TrimSpace(p.ExpiryDate); end != "" {
		at, err := time.Parse(time.RFC3339, end)
		if err != nil {
			return errors.New("its expiry date is not like 2030-12-31T00:00:00Z")
		}
		if !now.Before(at) {
			return fmt.Errorf("it has expired on %s", at.Format(time.DateOnly))
		}
	}
	if p.PIN != nil && p.PIN.Mode != "" && p.PIN.Mode != "Local" {
		return errors.New("it has a PIN, which has no place here: the password is the first factor")
	}
	for _, use := range p.Usage {
		if strings.TrimSpace(use) == "OTP" {
			return nil
		}
	}
	if len(p.Usage) > 0 {
		return errors.New("it is not for one-time codes")
	}
	return nil
}

// short bounds what an error repeats of a list.
func short(s string) string { return s[:min(len(s), 80)] }

// plainBytes decodes base64 as XML has it, with white space.
func plainBytes(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("not base64")
	}
	return b, nil
}

// number returns a value that is a number, or usual if there is none. Encrypted ones are
// bytes, the highest first.
func (o *opener) number(v value, usual int64) (int64, error) {
	if !v.there() {
		return usual, nil
	}
	if v.Encrypted == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(v.Plain), 10, 64)
		if err != nil || n < 0 {
			return 0, errors.New("not a number")
		}
		return n, nil
	}
	b, err := o.decrypt(v)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, x := range b {
		if n > otp.MaxCount {
			return 0, errors.New("too large a number")
		}
		n = n<<8 | int64(x)
	}
	return n, nil
}

// bytes returns a value that is a secret.
func (o *opener) bytes(v value) ([]byte, error) {
	switch {
	case !v.there():
		return nil, errors.New("there is none")
	case v.Encrypted == nil:
		return plainBytes(v.Plain)
	}
	return o.decrypt(v)
}
