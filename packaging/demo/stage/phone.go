package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/factor/otp"
)

// A phone is what the person would have in their hand: the mails that arrived, and
// an authenticator app.
type phone struct {
	outbox  string
	shown   map[string]bool
	mails   []string // subjects and texts, oldest first
	arrived []string // those not shown yet
	secret  []byte   // of the app; empty: there is none
	used    int64    // the last time step whose code was shown

	shownCode string
}

// forget empties the phone.
func (p *phone) forget() {
	p.check()
	p.mails, p.arrived, p.secret, p.used, p.shownCode = nil, nil, nil, 0, ""
}

// unseen returns the mails that were not shown yet.
func (p *phone) unseen() []string {
	p.check()
	mails := p.arrived
	p.arrived = nil
	return mails
}

// check looks for new mails.
func (p *phone) check() {
	found, _ := filepath.Glob(p.outbox + "/new/*")
	sort.Strings(found)
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil || p.shown[name] {
			continue
		}
		if p.shown == nil {
			p.shown = map[string]bool{}
		}
		p.shown[name] = true
		mail := string(text)
		if m, err := delivertest.ReadMail(mail); err == nil {
			mail = "Subject: " + m.Header.Get("Subject") + "\n\n" + m.Text
		}
		p.mails, p.arrived = append(p.mails, mail), append(p.arrived, mail)
	}
}

var (
	codeLine     = regexp.MustCompile(`(?m)^Your code: (\d+)$`)
	recoveryLine = regexp.MustCompile(`(?m)^Recovery code: (\S+)$`)
	// keyText is how a screen names the key of an app.
	keyText = regexp.MustCompile(`Key: ((?:[A-Z2-7]{1,4} ?)+)`)
)

// last returns what the newest mail that has it says there.
func (p *phone) last(line *regexp.Regexp) string {
	if m := line.FindStringSubmatch(p.holding(line)); m != nil {
		return m[1]
	}
	return ""
}

// holding returns the newest mail that has such a line; empty: there is none.
func (p *phone) holding(line *regexp.Regexp) string {
	p.check()
	for i := len(p.mails) - 1; i >= 0; i-- {
		if line.MatchString(p.mails[i]) {
			return p.mails[i]
		}
	}
	return ""
}

// scan takes the key of an app from a screen, and reports whether it is new.
func (p *phone) scan(screen string) bool {
	found := keyText.FindAllStringSubmatch(screen, -1)
	if found == nil {
		return false
	}
	secret, err := otp.ParseSecret(strings.ReplaceAll(found[len(found)-1][1], " ", ""))
	if err != nil || string(secret) == string(p.secret) {
		return false
	}
	p.secret, p.used = secret, 0
	return true
}

var usual = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

// code returns what the app shows, once there is a code that was not used: a server
// takes each only once, and that of the next half minute too.
func (p *phone) code() string {
	for ; ; time.Sleep(time.Second) {
		step := max(otp.Step(time.Now(), usual.Period), p.used+1)
		if step > otp.Step(time.Now(), usual.Period)+1 {
			continue
		}
		p.used = step
		code, err := otp.Code(p.secret, step, usual)
		if err != nil {
			return err.Error()
		}
		p.shownCode = code
		return code
	}
}

// qr returns a drawing for a real app, small enough for a terminal of 24 lines.
func (p *phone) qr() string {
	drawing, err := otp.QR(otp.URI("", "demo", p.secret, usual), otp.QRUTF8)
	if err != nil {
		return err.Error() + "\n"
	}
	return drawing
}

// boxed draws a frame around a text that is not part of the login.
func boxed(title, text string) string {
	const width = 64
	var b strings.Builder
	fmt.Fprintf(&b, "+-- %s %s\r\n", title, strings.Repeat("-", max(0, width-len(title))))
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		fmt.Fprintf(&b, "| %s\r\n", strings.TrimRight(line, "\n"))
	}
	b.WriteString("+" + strings.Repeat("-", width+4) + "\r\n")
	return b.String()
}

// short is a mail as a phone lists it: subject and text.
func short(mail string) string {
	head, body, _ := strings.Cut(mail, "\n\n")
	for line := range strings.Lines(head) {
		if s, ok := strings.CutPrefix(line, "Subject: "); ok {
			return strings.TrimSpace(s) + "\n" + strings.ReplaceAll(strings.TrimSpace(body), "\n\n", "\n")
		}
	}
	return body
}
