package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// A twilio hands texts to Twilio's Messages resource
// (https://www.twilio.com/docs/messaging/api/message-resource), and calls to Calls.
type twilio struct {
	cfg      deliver.TwilioConfig
	base     *url.URL // in place of scheme and host; nil: Twilio's own
	user     string   // of basic authentication
	password string
	timeout  time.Duration
	http     *http.Client
	private  []string // what no error may quote
	voice    deliver.Voice
	log      *slog.Logger
	now      func() time.Time
}

func newTwilio(cfg deliver.TwilioConfig, by road, opts Options) (*twilio, error) {
	base, err := cfg.Base()
	if err != nil {
		return nil, err
	}
	user, key, path := cfg.AccountSID, "sms.twilio.auth_token_file", cfg.AuthTokenFile
	if cfg.APIKey != "" {
		user, key, path = cfg.APIKey, "sms.twilio.api_secret_file", cfg.APISecretFile
	}
	password, err := carrier.ReadSecret(key, path, opts.Log)
	if err != nil {
		return nil, err
	}
	voice, _ := deliver.VoiceOf(opts.Language) // checked where it counts
	return &twilio{
		voice: voice, cfg: cfg, base: base, user: user, password: password,
		timeout: time.Duration(cfg.Timeout), http: newHTTPClient(by), log: opts.Log, now: opts.Now,
		private: append(basicAuth(user, password), by.private...),
	}, nil
}

func (t *twilio) close() { t.http.CloseIdleConnections() }

func (t *twilio) text(ctx context.Context, m mfa.Message) (receipt string, err error) {
	ctx, cancel := withTimeout(ctx, t.timeout)
	defer cancel()
	params, err := t.message(m)
	if err != nil {
		return "", err
	}
	made, err := t.service(ctx, m, http.StatusCreated).CreateMessage(params)
	switch {
	case err != nil:
		return "", fmt.Errorf("twilio: %w", err)
	case made.ErrorCode != nil && *made.ErrorCode != 0:
		err = fmt.Errorf("twilio: %w", t.refusal(answer{status: http.StatusBadRequest}, m,
			client.TwilioRestError{Code: *made.ErrorCode, Message: value(made.ErrorMessage)}))
		carrier.StepsOf(ctx).Done(carrier.StepAccepted, value(made.Sid)+", but "+value(made.Status), err)
		return "", err
	}
	return deliver.ASCII(value(made.Sid), deliver.FieldLimit), nil
}

// message is what makes m. By WhatsApp it is a template of ours that Twilio keeps, in
// which the code stands: nothing else reaches somebody who did not write first
// (https://www.twilio.com/docs/whatsapp/tutorial/send-whatsapp-notification-messages-templates).
func (t *twilio) message(m mfa.Message) (*api.CreateMessageParams, error) {
	params := new(api.CreateMessageParams).SetTo(m.To)
	switch {
	case t.cfg.WhatsApp() && m.Code == "":
		return nil, deliver.Permanent(errors.New("twilio: by WhatsApp only codes can be sent, in the template sms.twilio.content_sid"))
	case t.cfg.WhatsApp():
		variables, err := json.Marshal(map[string]string{"1": m.Code})
		if err != nil {
			return nil, deliver.Permanent(err)
		}
		return params.SetTo(deliver.WhatsAppPrefix + m.To).SetFrom(t.cfg.From).
			SetContentSid(t.cfg.ContentSID).SetContentVariables(string(variables)), nil
	case t.cfg.MessagingServiceSID != "":
		params.SetMessagingServiceSid(t.cfg.MessagingServiceSID)
	default:
		params.SetFrom(t.cfg.From)
	}
	return params.SetBody(m.Text), nil
}

// value returns what p points to, or nothing.
func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// A twilioCall is the client.BaseClient of one message: the library's own knows
// no context, no other address and no Retry-After.
type twilioCall struct {
	t    *twilio
	ctx  context.Context // of the message; the library's interface has no room for it
	m    mfa.Message
	want int // the status of an answer that is no error
}

// AccountSid implements client.BaseClient.
func (c *twilioCall) AccountSid() string { return c.t.cfg.AccountSID }

// SetTimeout implements client.BaseClient; the context decides.
func (c *twilioCall) SetTimeout(time.Duration) {}

// SetOauth implements client.BaseClient; there is none.
func (c *twilioCall) SetOauth(client.OAuth) {}

// OAuth implements client.BaseClient.
func (c *twilioCall) OAuth() client.OAuth { return nil }

// SendRequest implements client.BaseClient. A response is one that made or showed
// a message; anything else is an error of ours.
func (c *twilioCall) SendRequest(method, rawURL string, data url.Values,
	_ map[string]any, _ ...byte,
) (*http.Response, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, deliver.Misconfigured(err)
	}
	if base := c.t.base; base != nil {
		u = base.JoinPath(u.Path)
	}
	req, err := http.NewRequestWithContext(c.ctx, method, u.String(), strings.NewReader(data.Encode()))
	if err != nil {
		return nil, deliver.Misconfigured(err)
	}
	req.SetBasicAuth(c.t.user, c.t.password)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mfa/"+mfa.Version)
	a, err := exchange(c.t.http, req)
	if err != nil {
		return nil, err
	}
	resp, err := c.judge(u.Host, a)
	a.tell(c.ctx, err)
	return resp, err
}

// judge returns an answer that is about a message as a response, and any other as an
// error.
func (c *twilioCall) judge(host string, a answer) (*http.Response, error) {
	var rest client.TwilioRestError
	switch {
	case a.status == c.want:
		var resource any = new(api.ApiV2010Message)
		if c.m.Carrier == mfa.Call {
			resource = new(api.ApiV2010Call)
		}
		if json.Unmarshal(a.body, resource) != nil || a.cut {
			// The message is made; sending it again would send it twice.
			c.t.log.Warn("twilio has a message and its answer cannot be read", "message", c.m.ID)
			a.body = []byte("{}")
		}
		return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body))}, nil
	case a.status < 400:
		return nil, deliver.Misconfigured(fmt.Errorf("%s answered %d, which Twilio does not; check sms.twilio.base_url", host, a.status))
	}
	// The code says more than whatever else is odd about the answer.
	if _ = json.Unmarshal(a.body, &rest); rest.Code == 0 {
		return nil, a.judge(a.byStatus(fmt.Errorf("%s answered %d: %s", host, a.status,
			quoteAnswer(string(a.body), c.m, c.t.private...)), c.t.now()))
	}
	return nil, c.t.refusal(a, c.m, rest)
}
