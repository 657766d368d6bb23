package delivertest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A TwilioReply is what a Twilio does with one request. The zero value takes the
// message as Twilio documents: 201 and a Message resource, or the documented
// error if the request has one.
type TwilioReply struct {
	Status  int         // of a refusal; 0: none
	Code    int         // Twilio's error code, in the refusal's JSON
	Message string      // Twilio's words, likewise
	Header  http.Header // added to the answer: Retry-After
	Body    string      // said in place of JSON; with Status only
	Then    TwilioAction
}

// A TwilioAction is how a TwilioReply goes.
type TwilioAction int

// The actions.
const (
	TwilioAnswer TwilioAction = iota
	TwilioSlow                // say nothing until the client leaves
	TwilioReset               // reset the connection
	TwilioCut                 // 201, and the connection ends within the body
)

// A TwilioFate is what a Twilio says when it is asked what became of a message.
type TwilioFate struct {
	Status  string       // "queued", "sent", "delivered", "undelivered", …
	Code    int          // Twilio's error code; 0: none
	Refusal *TwilioReply // said in place of the message; its Status is set
}

// TwilioOptions of a Twilio.
type TwilioOptions struct {
	AccountSID string // empty: one of zeros
	User       string // of basic authentication: an API key; empty: AccountSID
	Password   string // its secret, or the auth token; empty: "token"
	Open       bool   // when the script is used up, take every message
	// Fates answer the requests for a message taken, the n-th the n-th. At the end
	// of the test they must be used up; beyond them, Open says "delivered".
	Fates []TwilioFate
}

// A Text is a message that a Twilio took.
type Text struct {
	SID, To, From, MessagingServiceSID, Body string
	ContentSID, ContentVariables             string
}

// A Twilio is a server that behaves as Twilio documents its Messages resource
// (https://www.twilio.com/docs/messaging/api/message-resource), and its Calls resource
// (https://www.twilio.com/docs/voice/api/call-resource).
type Twilio struct {
	URL        string
	AccountSID string
	Password   string

	t    testing.TB
	opts TwilioOptions
	srv  *httptest.Server
	done chan struct{} // closed by Finish: slow answers end

	mu          sync.Mutex // guards what follows
	replies     []TwilioReply
	fates       []TwilioFate
	asked       []string // message SIDs
	texts       []Text
	calls       []Call
	requests    int
	connections int
	finished    bool
}

// NewTwilio starts a Twilio that answers the n-th request with the n-th reply.
// At the end of the test the script must be used up.
func NewTwilio(t testing.TB, opts TwilioOptions, replies ...TwilioReply) *Twilio {
	t.Helper()
	if opts.AccountSID == "" {
		opts.AccountSID = "AC" + strings.Repeat("0", 32)
	}
	if opts.User == "" {
		opts.User = opts.AccountSID
	}
	if opts.Password == "" {
		opts.Password = "token"
	}
	s := &Twilio{
		AccountSID: opts.AccountSID, Password: opts.Password,
		t: t, opts: opts, replies: replies, fates: opts.Fates, done: make(chan struct{}),
	}
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.srv.Config.ConnState = s.count
	s.srv.Start()
	s.URL = s.srv.URL
	t.Cleanup(s.Finish)
	return s
}

func (s *Twilio) count(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.connections++
	}
}

// Texts returns the messages taken so far, in the order of arrival.
func (s *Twilio) Texts() []Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

// Asked returns of which messages it was asked what became of them, in order.
func (s *Twilio) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Requests returns how many messages came, taken or not.
func (s *Twilio) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Connections returns how many connections came.
func (s *Twilio) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Finish stops the server and holds the test to its script. It is called at the
// end of the test, too.
func (s *Twilio) Finish() {
	s.t.Helper()
	s.mu.Lock()
	left, unsaid, again := len(s.replies), len(s.fates), s.finished
	s.replies, s.fates, s.finished = nil, nil, true
	s.mu.Unlock()
	if again {
		return
	}
	if left > 0 {
		s.t.Errorf("scripted twilio: %d replies were never asked for", left)
	}
	if unsaid > 0 {
		s.t.Errorf("scripted twilio: %d fates were never asked for", unsaid)
	}
	close(s.done)
	s.srv.Close()
}

// next returns what to do with this request.
func (s *Twilio) next() TwilioReply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.replies) == 0 {
		if !s.opts.Open && !s.finished {
			s.t.Errorf("scripted twilio: request %d has no reply", s.requests)
		}
		return TwilioReply{}
	}
	r := s.replies[0]
	s.replies = s.replies[1:]
	return r
}

func (s *Twilio) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.show(w, r)
		return
	}
	reply := s.next()
	form, refusal := s.read(r)
	isCall := s.isCall(r)
	switch {
	case reply.Then == TwilioSlow:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		return
	case reply.Then == TwilioReset:
		s.hangUp(w, "")
		return
	case reply.Status != 0:
		refusal = reply
	}
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	if refusal.Status != 0 {
		refuse(w, refusal)
		return
	}
	resource := ""
	if isCall {
		resource = s.takeCall(form)
	} else {
		resource = s.take(form)
	}
	if reply.Then == TwilioCut {
		s.hangUp(w, resource)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, resource)
}

// documented are the fields that a text message may have here.
var documented = []string{"To", "From", "MessagingServiceSid", "Body", "ContentSid", "ContentVariables"}

var e164 = regexp.MustCompile(`^(whatsapp:)?\+[1-9][0-9]{6,14}$`)

// read returns the request's form, and the refusal that Twilio documents if
// there is something wrong. What no client of Twilio may do fails the test.
func (s *Twilio) read(r *http.Request) (url.Values, TwilioReply) {
	if !s.posted(r) {
		return nil, TwilioReply{Status: 404, Code: 20404, Message: "The requested resource " + r.URL.Path + " was not found"}
	}
	s.readForm(r)
	return r.PostForm, s.refusal(r)
}

// posted says whether the request is one for a new message or call of the account.
func (s *Twilio) posted(r *http.Request) bool {
	return r.Method == http.MethodPost &&
		(s.isCall(r) || r.URL.Path == "/2010-04-01/Accounts/"+s.opts.AccountSID+"/Messages.json")
}

// readForm parses the form, and fails the test for one that no client may send.
func (s *Twilio) readForm(r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "application/x-www-form-urlencoded" {
		s.t.Errorf("scripted twilio: Content-Type is %q", kind)
	}
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		s.t.Errorf("scripted twilio: form: %v, query: %q", err, r.URL.RawQuery)
	}
	fields := documented
	if s.isCall(r) {
		fields = documentedOfCalls
	}
	for name, values := range r.PostForm {
		if !slices.Contains(fields, name) || len(values) != 1 {
			s.t.Errorf("scripted twilio: field %q has %d values; documented are %q once each", name, len(values), fields)
		}
	}
}

// refusal returns what Twilio documents to be wrong with the request, zero if nothing.
func (s *Twilio) refusal(r *http.Request) TwilioReply {
	f := r.PostForm
	user, password, _ := r.BasicAuth()
	switch {
	case user != s.opts.User || password != s.opts.Password:
		return TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"}
	case f.Get("To") == "":
		return TwilioReply{Status: 400, Code: 21604, Message: "A 'To' phone number is required."}
	case f.Get("From") == "" && f.Get("MessagingServiceSid") == "":
		return TwilioReply{Status: 400, Code: 21603, Message: "A 'From' phone number is required."}
	case s.isCall(r):
		return refusalOfCall(f)
	case f.Get("Body") == "" && f.Get("ContentSid") == "":
		return TwilioReply{Status: 400, Code: 21602, Message: "Message body is required."}
	case strings.HasPrefix(f.Get("To"), "whatsapp:") != strings.HasPrefix(f.Get("From"), "whatsapp:"):
		return TwilioReply{Status: 400, Code: 63007, Message: "Twilio could not find a Channel with the specified From address"}
	case strings.HasPrefix(f.Get("To"), "whatsapp:") && f.Get("ContentSid") == "":
		return TwilioReply{Status: 400, Code: 63016, Message: "Failed to send freeform message because you are outside the allowed window."}
	case f.Get("ContentSid") != "" && !json.Valid([]byte(f.Get("ContentVariables"))):
		return TwilioReply{Status: 400, Code: 21656, Message: "The ContentVariables Parameter is invalid."}
	case !e164.MatchString(f.Get("To")):
		return TwilioReply{Status: 400, Code: 21211, Message: "Invalid 'To' Phone Number: " + f.Get("To")}
	}
	return TwilioReply{}
}

func refuse(w http.ResponseWriter, r TwilioReply) {
	if r.Body != "" {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(r.Status)
		fmt.Fprint(w, r.Body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client may have left
		"code": r.Code, "message": r.Message, "status": r.Status,
		"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", r.Code),
	})
}

// take keeps the message and returns its resource.
func (s *Twilio) take(f url.Values) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := Text{
		SID: fmt.Sprintf("SM%032x", len(s.texts)+1), To: f.Get("To"), From: f.Get("From"),
		MessagingServiceSID: f.Get("MessagingServiceSid"), Body: f.Get("Body"),
		ContentSID: f.Get("ContentSid"), ContentVariables: f.Get("ContentVariables"),
	}
	s.texts = append(s.texts, text)
	return s.resource(text, TwilioFate{Status: "queued"})
}

// resource writes a Message resource.
func (s *Twilio) resource(text Text, f TwilioFate) string {
	uri := "/2010-04-01/Accounts/" + s.opts.AccountSID + "/Messages/" + text.SID
	now := time.Now().UTC().Format(time.RFC1123Z)
	data, err := json.Marshal(map[string]any{
		"account_sid": s.opts.AccountSID, "api_version": "2010-04-01", "body": text.Body,
		"date_created": now, "date_sent": nil, "date_updated": now, "direction": "outbound-api",
		"error_code": orNull(f.Code), "error_message": nil, "from": orNull(text.From),
		"messaging_service_sid": orNull(text.MessagingServiceSID), "num_media": "0", "num_segments": "1",
		"price": nil, "price_unit": "USD", "sid": text.SID, "status": f.Status, "to": text.To,
		"subresource_uris": map[string]string{"media": uri + "/Media.json"}, "uri": uri + ".json",
	})
	if err != nil {
		s.t.Errorf("scripted twilio: %v", err)
	}
	return string(data)
}

func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// show answers what became of a message or a call.
func (s *Twilio) show(w http.ResponseWriter, r *http.Request) {
	resource, f := s.fateOf(r)
	if f.Refusal != nil {
		refuse(w, *f.Refusal)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	fmt.Fprint(w, resource(f))
}

// fateOf returns the resource that r asks after and what to say of it.
func (s *Twilio) fateOf(r *http.Request) (resource func(TwilioFate) string, f TwilioFate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, _ := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/"+s.opts.AccountSID+"/")
	kind, name, _ := strings.Cut(path, "/")
	sid, isJSON := strings.CutSuffix(name, ".json")
	s.asked = append(s.asked, sid)
	f = TwilioFate{Status: map[string]string{"Messages": "delivered", "Calls": "completed"}[kind]}
	switch {
	case len(s.fates) > 0:
		f, s.fates = s.fates[0], s.fates[1:]
	case !s.opts.Open && !s.finished:
		s.t.Errorf("scripted twilio: nothing to say of message %q", sid)
	}
	user, password, _ := r.BasicAuth()
	if i := slices.IndexFunc(s.texts, func(t Text) bool { return t.SID == sid }); i >= 0 && kind == "Messages" {
		text := s.texts[i]
		resource = func(f TwilioFate) string { return s.resource(text, f) }
	}
	if i := slices.IndexFunc(s.calls, func(c Call) bool { return c.SID == sid }); i >= 0 && kind == "Calls" {
		call := s.calls[i]
		resource = func(f TwilioFate) string { return s.callResource(call, f.Status) }
	}
	switch {
	case user != s.opts.User || password != s.opts.Password:
		f.Refusal = &TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"}
	case resource == nil || !isJSON:
		f.Refusal = &TwilioReply{Status: 404, Code: 20404, Message: "The requested resource " + r.URL.Path + " was not found"}
	}
	return resource, f
}

// hangUp ends the connection: with a reset when there is nothing to say, or in
// the middle of body.
func (s *Twilio) hangUp(w http.ResponseWriter, body string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		s.t.Errorf("scripted twilio: %v", err)
		return
	}
	defer c.Close()
	if body != "" {
		fmt.Fprintf(c, "HTTP/1.1 201 CREATED\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body[:len(body)/2])
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only when c is gone already
	}
}
