package sms

import (
	"errors"
	"fmt"

	"github.com/twilio/twilio-go/client"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// twilioNumber has the error codes that are about the number, with the text for the person
// (https://www.twilio.com/docs/api/errors).
var twilioNumber = map[int]text.Sentence{
	21211: text.Of("This is not a valid phone number."),
	21214: text.Of("This number cannot be reached by text message."),
	21215: text.Of("Calls to the country of this number are not allowed here."),
	21216: text.Of("This number may not be called."),
	21217: text.Of("This is not a valid phone number."),
	21265: text.Of("This is a short number, which cannot get text messages."),
	21266: text.Of("This is the number that our messages come from."),
	21268: text.Of("This is a premium-rate number, which cannot get text messages."),
	21408: text.Of("Text messages to the country of this number are not allowed here."),
	21610: text.Of("This number has said STOP to our messages. Text START to the number they came from to get them again."),
	21612: text.Of("This number cannot be reached by text message."),
	21614: text.Of("This is not a mobile number."),
	21635: text.Of("This is a landline, which cannot get text messages."),
	30003: text.Of("This phone cannot be reached now."),
	30004: text.Of("This number does not take our messages."),
	30005: text.Of("This number is unknown or no longer in service."),
	30006: text.Of("This is a landline, or its network cannot be reached."),
	63003: text.Of("This number is not on WhatsApp."),
	63024: text.Of("This number cannot get our WhatsApp messages."),
}

// twilioConfig has the error codes that an administrator must mend, with a hint
// for the log. An unknown code counts as one of them, unless the status says that another
// attempt can help.
var twilioConfig = map[int]string{
	20003: "check sms.twilio.account_sid and the auth token or API key",
	20005: "the account is not active",
	20006: "the account may not do this",
	20008: "these are test credentials",
	20404: "check sms.twilio.account_sid and region",
	21210: "sms.twilio.call_from is not verified for calls",
	21212: "check sms.twilio.from and call_from",
	21213: "check sms.twilio.call_from",
	21215: "allow the country in Twilio's geo permissions for voice, or leave it out of sms.regions",
	21408: "allow the country in Twilio's geo permissions, or leave it out of sms.regions",
	21603: "check sms.twilio.from",
	21606: "check sms.twilio.from",
	21608: "a trial account sends to verified numbers only",
	21612: "sms.twilio.from cannot send to the country of this number",
	21617: "check sms.template",
	21655: "check sms.twilio.content_sid",
	21656: "the template sms.twilio.content_sid has to have the code as {{1}}, and nothing else to fill in",
	21659: "check sms.twilio.from",
	21660: "sms.twilio.from belongs to another account",
	21661: "sms.twilio.from cannot send text messages",
	21701: "check sms.twilio.messaging_service_sid",
	21703: "the messaging service has no number that can send this",
	21704: "the messaging service has no number",
	21705: "check sms.twilio.messaging_service_sid",
	30002: "the account is suspended",
	30007: "carriers filter this text; check sms.template and the registration of the sender",
	30034: "the sender is not registered with the carriers",
	63007: "sms.twilio.from is no WhatsApp sender of the account",
	63016: "WhatsApp takes codes only in an approved template; check sms.twilio.content_sid",
	63027: "WhatsApp does not have the template sms.twilio.content_sid",
	63038: "the account's daily limit is reached",
}

// twilioBusy has the error codes after which another attempt can succeed,
// whatever the status.
var twilioBusy = map[int]bool{
	20429: true, // too many requests
	20500: true, // internal error
	20503: true, // out of service
	21611: true, // the sender's queue is full
	30001: true, // the queue is full
	30008: true, // unknown error
	63018: true, // too many WhatsApp messages
}

// refusal turns an error of Twilio into one for the log, marked by how it can be mended.
func (t *twilio) refusal(a answer, m mfa.Message, e client.TwilioRestError) error {
	err := fmt.Errorf("error %d: %s", e.Code, quoteAnswer(e.Message, m, t.private...))
	reason, number := twilioNumber[e.Code]
	hint, config := twilioConfig[e.Code]
	if config {
		err = fmt.Errorf("%w (%s)", err, hint)
	}
	err = deliver.Hinted(err, fmt.Sprintf("https://www.twilio.com/docs/api/errors/%d says more.", e.Code))
	switch {
	case number && config:
		return deliver.OfNumber(deliver.Misconfigured(err), reason)
	case number:
		return deliver.OfNumber(err, reason)
	case config:
		return deliver.Misconfigured(err)
	case twilioBusy[e.Code]:
		return a.busy(err, t.now())
	}
	if err = a.byStatus(err, t.now()); errors.Is(err, deliver.ErrPermanent) {
		return deliver.Misconfigured(err)
	}
	return err
}
