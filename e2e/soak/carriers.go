package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"mfa/internal/deliver/delivertest"
)

// A mood is how a carrier behaves.
type mood int32

const (
	well    mood = iota
	slow         // takes seconds
	hangs        // says nothing
	defers       // not now
	refuses      // never
	drops        // hangs up
	moods
)

func (m mood) String() string {
	return [...]string{"well", "slow", "hangs", "defers", "refuses", "drops"}[m]
}

const (
	slowness = 2 * time.Second
	hanging  = 8 * time.Second // longer than mfad waits
)

// A box is where the messages of a user come.
type box struct {
	mu       sync.Mutex // guards what follows
	code     string
	came     time.Time
	recovery string
	news     chan struct{} // closed when something comes
}

func newBox() *box { return &box{news: make(chan struct{})} }

var (
	codeLine     = regexp.MustCompile(`(?m)^Your code: (\d+)\r?$`)
	recoveryLine = regexp.MustCompile(`(?m)^Recovery code: ([2-9a-y]{4}(?:-[2-9a-y]{4}){3})\r?$`)
	sixDigits    = regexp.MustCompile(`\b\d{6}\b`)
)

// put keeps the codes of a message.
func (b *box) put(code, recovery string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if code != "" {
		b.code, b.came = code, time.Now()
	}
	if recovery != "" {
		b.recovery = recovery
	}
	close(b.news)
	b.news = make(chan struct{})
}

// takeCode returns the code that came last and was not taken, and waits for one.
func (b *box) takeCode(wait time.Duration) (string, bool) { return b.take(&b.code, wait) }

// takeRecovery is takeCode for recovery codes.
func (b *box) takeRecovery(wait time.Duration) (string, bool) { return b.take(&b.recovery, wait) }

func (b *box) take(what *string, wait time.Duration) (string, bool) {
	late := time.After(wait)
	for {
		b.mu.Lock()
		code, news := *what, b.news
		*what = ""
		b.mu.Unlock()
		if code != "" {
			return code, true
		}
		select {
		case <-news:
		case <-late:
			return "", false
		}
	}
}

// tidy drops a code that is good no more, and a recovery code that nobody waited for: the
// next lock has another.
func (b *box) tidy() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.recovery = ""; time.Since(b.came) > 9*time.Minute {
		b.code = ""
	}
}

func (b *box) holds(code string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.code == code
}

// Carriers are a mail relay and a gateway of text messages.
type carriers struct {
	boxes    map[string]*box // by address and number
	mailing  net.Listener
	texting  *http.Server
	gateway  string
	post     atomic.Int32 // the mood of the relay
	phones   atomic.Int32 // the mood of the gateway
	unwell   atomic.Int64 // when one was not well last, in Unix nanoseconds
	mails    atomic.Int64
	texts    atomic.Int64
	sessions atomic.Int64 // of SMTP
}

func newCarriers(p *people) (*carriers, error) {
	c := &carriers{boxes: map[string]*box{}}
	for _, u := range p.all {
		c.boxes[u.mail()], c.boxes[u.phone()] = u.box, u.box
	}
	var err error
	if c.mailing, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.gateway = l.Addr().String()
	c.texting = &http.Server{Handler: http.HandlerFunc(c.text), ReadHeaderTimeout: patience}
	go func() { _ = c.texting.Serve(l) }() // until close
	go c.serve()
	return c, nil
}

func (c *carriers) close() {
	_ = c.mailing.Close()
	_ = c.texting.Close()
}

// settings has mfad send by them.
func (c *carriers) settings() []string {
	return []string{
		"email.transport = 'smtp'", "email.smtp.host = '127.0.0.1'", fmt.Sprintf("email.smtp.port = %d", c.mailing.Addr().(*net.TCPAddr).Port),
		"email.smtp.tls = 'none'", "email.smtp.timeout = '4s'",
		"sms.provider = 'http'", "sms.http.url = 'http://" + c.gateway + "/'", `sms.http.body = '{"to": {{json .To}}, "text": {{json .Text}}}'`,
		`sms.http.headers = { Content-Type = "application/json" }`, "sms.http.timeout = '4s'",
		"sms.per_user_per_day = 1000", "sms.per_number_per_day = 1000", "sms.per_prefix_per_hour = 100000", "sms.per_hour = 100000",
	}
}

// set changes the moods.
func (c *carriers) set(post, phones mood) {
	c.note()
	c.post.Store(int32(post))
	c.phones.Store(int32(phones))
	c.note()
}

// note remembers that a carrier is not well, if one is not.
func (c *carriers) note() {
	if mood(c.post.Load()) != well || mood(c.phones.Load()) != well {
		c.unwell.Store(time.Now().UnixNano())
	}
}

// wellSince says whether both were well since a time.
func (c *carriers) wellSince(t time.Time) bool {
	c.note()
	return c.unwell.Load() < t.UnixNano()
}

func (c *carriers) serve() {
	relay := &delivertest.Relay{Take: c.mail, Rcpt: c.recipient, Patience: 2 * patience}
	for {
		conn, err := c.mailing.Accept()
		if err != nil {
			return
		}
		c.sessions.Add(1)
		go func() {
			if mood(c.post.Load()) == hangs {
				time.Sleep(hanging)
				_ = conn.Close()
				return
			}
			relay.Serve(conn)
		}()
	}
}

// recipient is what the relay answers to one, by its mood.
func (c *carriers) recipient(string) string {
	switch mood(c.post.Load()) {
	case slow:
		time.Sleep(slowness)
	case hangs:
		time.Sleep(hanging)
		return ""
	case defers:
		return "451 not now"
	case refuses:
		return "550 never"
	case drops:
		return ""
	}
	return "250 ok"
}

// mail puts a mail into the box of its user.
func (c *carriers) mail(to, text string) {
	c.mails.Add(1)
	if b := c.boxes[to]; b != nil {
		m, err := delivertest.ReadMail(text)
		if err != nil {
			m.Text = text // which shows no code: the user tells of it
		}
		b.put(submatch(codeLine, []byte(m.Text)), submatch(recoveryLine, []byte(m.Text)))
	}
}

func submatch(pattern *regexp.Regexp, text []byte) string {
	if m := pattern.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// text takes a text message.
func (c *carriers) text(w http.ResponseWriter, r *http.Request) {
	switch mood(c.phones.Load()) {
	case slow:
		time.Sleep(slowness)
	case hangs:
		time.Sleep(hanging)
		return
	case defers:
		http.Error(w, "not now", http.StatusInternalServerError)
		return
	case refuses:
		http.Error(w, "never", http.StatusBadRequest)
		return
	case drops:
		panic(http.ErrAbortHandler)
	}
	var m struct{ To, Text string }
	if json.NewDecoder(r.Body).Decode(&m) == nil {
		c.texts.Add(1)
		if b := c.boxes[m.To]; b != nil {
			b.put(sixDigits.FindString(m.Text), "")
		}
	}
}
