package sms

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

const (
	// ringFor is how long a phone rings, in seconds: long enough to walk to it, and not so
	// long that a mailbox answers and keeps the code.
	ringFor = 25
	// callFor is how long a call lasts, in seconds: to read ten digits twice, slowly.
	callFor = 90
)

// call reads the code of m out by Twilio's Calls resource
// (https://www.twilio.com/docs/voice/api/call-resource). What is to be said stands in the
// request: nobody has to be reached for it.
func (t *twilio) call(ctx context.Context, m mfa.Message) (receipt string, err error) {
	from := t.cfg.Caller()
	if from == "" {
		return "", deliver.Misconfigured(errors.New("twilio: sms.twilio.call_from is empty, and sms.twilio.from is no number that could call"))
	}
	ctx, cancel := withTimeout(ctx, t.timeout)
	defer cancel()
	params := new(api.CreateCallParams).SetTo(m.To).SetFrom(from).SetTwiml(twiml(t.voice, m)).SetTimeout(ringFor).SetTimeLimit(callFor)
	made, err := t.service(ctx, m, http.StatusCreated).CreateCall(params)
	if err != nil {
		return "", fmt.Errorf("twilio: %w", err)
	}
	return deliver.ASCII(value(made.Sid), deliver.FieldLimit), nil
}

// twiml is what is said: the code of m digit by digit, twice
// (https://www.twilio.com/docs/voice/twiml).
func twiml(voice deliver.Voice, m mfa.Message) string {
	type say struct {
		XMLName  xml.Name `xml:"Say"`
		Voice    string   `xml:"voice,attr,omitempty"`
		Language string   `xml:"language,attr"`
		Text     string   `xml:",chardata"`
	}
	type pause struct {
		XMLName xml.Name `xml:"Pause"`
		Length  int      `xml:"length,attr"`
	}
	aloud := func(text string) say { return say{Voice: voice.Name, Language: voice.Language, Text: text} }
	verbs := []any{pause{Length: 1}} // whoever answers first brings the phone to the ear
	if m.Text != "" {
		verbs = append(verbs, aloud(m.Text))
	}
	read := aloud(spelled(m.Code) + ".")
	verbs = append(verbs, read, pause{Length: 2}, read)
	data, _ := xml.Marshal(struct { // of texts and numbers, which have no way to fail
		XMLName xml.Name `xml:"Response"`
		Verbs   []any
	}{Verbs: verbs})
	return xml.Header + string(data)
}

// spelled is a code with a pause after each digit, so that it is read as digits in every
// language, and not as a number.
func spelled(code string) string { return strings.Join(strings.Split(code, ""), ", ") }

// Call statuses after which nothing changes
// (https://www.twilio.com/docs/voice/api/call-resource#call-status-values).
var callEnds = map[string]string{
	"completed": "", "busy": "the phone is busy", "no-answer": "nobody answered",
	"failed": "the number cannot be reached", "canceled": "the call was canceled",
}

// callFate says what became of the call that Twilio calls sid.
func (t *twilio) callFate(ctx context.Context, m mfa.Message, sid string) (fate, error) {
	made, err := t.service(ctx, m, http.StatusOK).FetchCall(sid, nil)
	if err != nil {
		return fate{}, fmt.Errorf("twilio: %w", err)
	}
	why, over := callEnds[value(made.Status)]
	if !over || why == "" {
		return fate{over: over}, nil
	}
	return fate{over: true, failed: errors.New("twilio: " + why)}, nil
}

// service is Twilio's API for one request about m, which it answers with the status want.
func (t *twilio) service(ctx context.Context, m mfa.Message, want int) *api.ApiService {
	return api.NewApiService(&client.RequestHandler{
		Client: &twilioCall{t: t, ctx: ctx, m: m, want: want}, Edge: t.cfg.Edge, Region: t.cfg.Region,
	})
}
