package delivertest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Call is one that a Twilio made.
type Call struct {
	SID, To, From, TwiML, Timeout, TimeLimit string
}

// Said returns what the call says, text by text, and in which languages.
func (c Call) Said() (texts, languages []string) {
	var said struct {
		Say []struct {
			Language string `xml:"language,attr"`
			Text     string `xml:",chardata"`
		}
	}
	if err := xml.Unmarshal([]byte(c.TwiML), &said); err != nil {
		return nil, nil
	}
	for _, s := range said.Say {
		texts, languages = append(texts, s.Text), append(languages, s.Language)
	}
	return texts, languages
}

// Calls returns the calls made so far, in their order.
func (s *Twilio) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// documentedOfCalls are the fields that a call may have here.
var documentedOfCalls = []string{"To", "From", "Twiml", "Timeout", "TimeLimit"}

// isCall says whether the request is one for a new call of the account.
func (s *Twilio) isCall(r *http.Request) bool {
	return r.URL.Path == "/2010-04-01/Accounts/"+s.opts.AccountSID+"/Calls.json"
}

// refusalOfCall returns what Twilio documents to be wrong with a call, zero if nothing.
func refusalOfCall(f url.Values) TwilioReply {
	const most = 4000
	switch {
	case !e164.MatchString(f.Get("From")) || strings.HasPrefix(f.Get("From"), "whatsapp:"):
		return TwilioReply{Status: 400, Code: 21212, Message: "Invalid From Number (caller ID): " + f.Get("From")}
	case !e164.MatchString(f.Get("To")):
		return TwilioReply{Status: 400, Code: 21211, Message: "Invalid 'To' Phone Number: " + f.Get("To")}
	case f.Get("Twiml") == "" || len(f.Get("Twiml")) > most || !isTwiML(f.Get("Twiml")):
		return TwilioReply{Status: 400, Code: 12100, Message: "Document parse failure: " + f.Get("Twiml")}
	}
	return TwilioReply{}
}

// isTwiML says whether text is a document of the verbs that are spoken.
func isTwiML(text string) bool {
	d := xml.NewDecoder(strings.NewReader(text))
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF) && depth == 0
		}
		switch token := token.(type) {
		case xml.StartElement:
			if want := []string{"Response", "Say Pause"}; depth >= len(want) || !slices.Contains(strings.Fields(want[depth]), token.Name.Local) {
				return false
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

// takeCall keeps the call and returns its resource.
func (s *Twilio) takeCall(f url.Values) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := Call{
		SID: fmt.Sprintf("CA%032x", len(s.calls)+1), To: f.Get("To"), From: f.Get("From"),
		TwiML: f.Get("Twiml"), Timeout: f.Get("Timeout"), TimeLimit: f.Get("TimeLimit"),
	}
	s.calls = append(s.calls, call)
	return s.callResource(call, "queued")
}

// callResource writes a Call resource.
func (s *Twilio) callResource(call Call, status string) string {
	uri := "/2010-04-01/Accounts/" + s.opts.AccountSID + "/Calls/" + call.SID
	data, err := json.Marshal(map[string]any{
		"account_sid": s.opts.AccountSID, "answered_by": nil, "api_version": "2010-04-01", "caller_name": nil,
		"date_created": time.Now().UTC().Format(time.RFC1123Z), "date_updated": nil, "direction": "outbound-api", "duration": nil,
		"end_time": nil, "forwarded_from": nil, "from": call.From, "group_sid": nil, "parent_call_sid": nil, "phone_number_sid": "PN1",
		"price": nil, "price_unit": "USD", "queue_time": "0", "sid": call.SID, "start_time": nil, "status": status,
		"subresource_uris": map[string]string{"events": uri + "/Events.json"}, "to": call.To, "trunk_sid": nil, "uri": uri + ".json",
	})
	if err != nil {
		s.t.Errorf("scripted twilio: %v", err)
	}
	return string(data)
}
