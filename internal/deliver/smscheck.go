package deliver

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"mfa/internal/mfa"
)

// CheckSMS returns an error that begins with the wrong key of the table [sms], or nil. It
// reads no files: sms.New checks them.
func CheckSMS(cfg SMSConfig) error {
	if err := checkRegions(cfg.Regions); err != nil {
		return err
	}
	if err := CheckSMSTemplate(cfg.Template, cfg.AutofillDomain); err != nil {
		return err
	}
	if err := checkProxy(cfg); err != nil {
		return err
	}
	if cfg.Provider != ProviderTwilio {
		return nil
	}
	return checkTwilio(cfg.Twilio)
}

// checkTwilio returns the first thing that is wrong with cfg, or nil.
func checkTwilio(cfg TwilioConfig) error {
	for _, check := range []func(TwilioConfig) error{
		checkTwilioIDs, checkTwilioKey, checkTwilioSender, checkTwilioWhatsApp, checkTwilioPlace,
	} {
		if err := check(cfg); err != nil {
			return err
		}
	}
	if err := CheckTimeout("sms.twilio.timeout", cfg.Timeout); err != nil {
		return err
	}
	_, err := cfg.Base()
	return err
}

// checkTwilioIDs looks at the shape of what Twilio calls a SID, and wants the account's.
func checkTwilioIDs(cfg TwilioConfig) error {
	for _, id := range [...]struct{ key, value, prefix string }{
		{"account_sid", cfg.AccountSID, "AC"},
		{"api_key", cfg.APIKey, "SK"},
		{"messaging_service_sid", cfg.MessagingServiceSID, "MG"},
		{"content_sid", cfg.ContentSID, "HX"},
	} {
		if id.value != "" && (!strings.HasPrefix(id.value, id.prefix) || strings.ContainsFunc(id.value, notWord)) {
			return fmt.Errorf("sms.twilio.%s: %q is not an identifier that begins with %s", id.key, id.value, id.prefix)
		}
	}
	if cfg.AccountSID == "" {
		return errors.New("sms.twilio.account_sid: is empty")
	}
	return nil
}

// checkTwilioKey wants one key, whole: the account's token, or an API key and its secret.
func checkTwilioKey(cfg TwilioConfig) error {
	switch {
	case cfg.AuthTokenFile == "" && cfg.APIKey == "":
		return errors.New("sms.twilio.auth_token_file: is empty and so is sms.twilio.api_key")
	case cfg.AuthTokenFile != "" && (cfg.APIKey != "" || cfg.APISecretFile != ""):
		return errors.New("sms.twilio.auth_token_file: is set and so is an API key; leave one of them out")
	case cfg.APIKey != "" && cfg.APISecretFile == "":
		return errors.New("sms.twilio.api_secret_file: is empty and sms.twilio.api_key is set")
	case cfg.APIKey == "" && cfg.APISecretFile != "":
		return errors.New("sms.twilio.api_key: is empty and sms.twilio.api_secret_file is set")
	}
	return nil
}

// checkTwilioSender wants one sender: a number, or a messaging service.
func checkTwilioSender(cfg TwilioConfig) error {
	switch {
	case cfg.From == "" && cfg.MessagingServiceSID == "":
		return errors.New("sms.twilio.from: is empty and so is sms.twilio.messaging_service_sid")
	case cfg.From != "" && cfg.MessagingServiceSID != "":
		return errors.New("sms.twilio.from: is set and so is sms.twilio.messaging_service_sid; leave one of them out")
	}
	return nil
}

// checkTwilioWhatsApp wants a template for WhatsApp, and for nothing else; and a caller that
// can call.
func checkTwilioWhatsApp(cfg TwilioConfig) error {
	number := strings.TrimPrefix(cfg.From, WhatsAppPrefix)
	switch {
	case cfg.WhatsApp() && !mfa.IsNumber(number):
		return fmt.Errorf("sms.twilio.from: %q is not a WhatsApp sender like \"%s%s\"", cfg.From, WhatsAppPrefix, PhoneExample)
	case cfg.WhatsApp() && cfg.ContentSID == "":
		return errors.New("sms.twilio.content_sid: is empty and sms.twilio.from sends by WhatsApp, which takes codes only in a template")
	case !cfg.WhatsApp() && cfg.ContentSID != "":
		return errors.New("sms.twilio.content_sid: is set and sms.twilio.from does not begin with \"whatsapp:\"")
	case cfg.CallFrom != "" && !mfa.IsNumber(cfg.CallFrom):
		return fmt.Errorf("sms.twilio.call_from: %q is not a number like %q", cfg.CallFrom, PhoneExample)
	}
	return nil
}

// checkTwilioPlace looks at what becomes part of the name of Twilio's host.
func checkTwilioPlace(cfg TwilioConfig) error {
	switch {
	case strings.ContainsFunc(cfg.Region, notWord):
		return fmt.Errorf("sms.twilio.region: %q is not a word like \"ie1\"", cfg.Region)
	case strings.ContainsFunc(cfg.Edge, func(r rune) bool { return notWord(r) && r != '-' }):
		return fmt.Errorf("sms.twilio.edge: %q is not a word like \"dublin\"", cfg.Edge)
	}
	return nil
}

func notWord(r rune) bool { return !IsWord(r) }

// Base returns the address in base_url, nil if it is empty. The credentials go there, so it
// must be https or on loopback. The error begins with the key.
func (cfg TwilioConfig) Base() (*url.URL, error) {
	if cfg.BaseURL == "" {
		return nil, nil
	}
	u, err := url.Parse(cfg.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("sms.twilio.base_url: %q is not an address like \"https://api.twilio.com\"", cfg.BaseURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(u.Hostname())):
		return nil, fmt.Errorf("sms.twilio.base_url: %q would send the credentials unencrypted; begin it with https", cfg.BaseURL)
	case cfg.Region != "" || cfg.Edge != "":
		return nil, errors.New("sms.twilio.base_url: is set and so is a region or an edge; leave one of them out")
	}
	return u, nil
}

// CheckTimeout returns an error that begins with the key if d is not over zero.
func CheckTimeout(key string, d mfa.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %q is not more than 0s", key, d)
	}
	return nil
}
