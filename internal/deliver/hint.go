package deliver

import (
	"errors"
	"fmt"
	"net/http"
)

// A hintedError is an error with what to look at. The hint is for the person
// who mends it, not for the log, so the text of the error does without.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// hinted adds hint to err, if there is one.
func hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hintedError{err, hint}
}

// Hint returns what to look at when a carrier's Send failed with err: sentences
// for an administrator that name keys of mfa.toml. It is empty when err says it
// all.
func Hint(err error) string {
	if e, ok := errors.AsType[hintedError](err); ok {
		return e.hint
	}
	return ""
}

// hint says what to look at when a step with the relay failed.
func (r *relay) hint(step string, err error) string {
	switch step {
	case stepResolve:
		return "Is email.smtp.host right? Do the name servers in /etc/resolv.conf answer?"
	case stepConnect:
		return fmt.Sprintf("Is email.smtp.port right, and does the relay run? Does a firewall let this machine out to port %d?", r.cfg.Port)
	case stepGreeting:
		return "Who answers may be no mail relay, expect TLS from the first byte (email.smtp.tls = \"implicit\", often port 465)," +
			" or not want this machine as a client."
	case stepTLS:
		return "Look at email.smtp.tls and email.smtp.ca_file, and at the relay's certificate."
	case stepLogin:
		return "Look at email.smtp.username, email.smtp.auth and the file that email.smtp.password_file names."
	case stepSender:
		return "May this machine send as email.from? Many relays want an address of their own domain, or a login (email.smtp.username)."
	case stepRecipient:
		return "Is the address right? A relay that takes no mail for other domains wants a login (email.smtp.username), or this machine on its list."
	case stepData:
		if errors.Is(err, ErrPermanent) {
			return "The relay refuses the message itself; its own log says more."
		}
		return "The relay's own log says more."
	}
	return ""
}

// hintOutbox says what to look at when the maildir cannot be written.
const hintOutbox = "Look at email.outbox.path: mfad must be able to write there. Under systemd its folder belongs into ReadWritePaths."

// hintProgram says what to look at when the program that key names failed.
func hintProgram(key string) string {
	return "Look at " + key + ", and run the program by hand as mfad does: no shell, next to no environment."
}

// hintService says what a program of mfad does without.
const hintService = " Under systemd it runs as the user mfa with a /tmp of its own, without devices and without /home:" +
	" a modem needs DeviceAllow=, PrivateDevices=no and SupplementaryGroups=dialout in mfad.service (systemctl edit mfad; mfa.toml(5) has the lines)."

// Hints when a gateway was not reached.
const (
	hintGatewayName    = "Is the host name right? Do the name servers in /etc/resolv.conf answer?"
	hintGatewayConnect = "Are host and port right? Does a firewall let this machine out, or does mfad need HTTPS_PROXY in its environment?"
	hintGatewayTLS     = "The certificate must be signed by an authority that this system knows (update-ca-certificates)."
	hintGatewayTLSPort = "Are port and https:// right?"
	hintGatewaySilent  = "The request was sent, so the text may still arrive. Is the gateway slow, or its timeout in mfa.toml short?"
)

// hintStatus says what to look at when a gateway answered with this status.
func hintStatus(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "The gateway refuses us: look at the credentials in sms.http.headers or sms.http.url, and the files they name."
	case status == http.StatusProxyAuthRequired:
		return "The proxy wants a login: put it into HTTPS_PROXY in mfad's environment."
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return "Look at sms.http.url and sms.http.method."
	case status == http.StatusTooManyRequests:
		return "The gateway has had enough for now; a login tries again when it says so."
	case status >= 300 && status < 400:
		return "The gateway points elsewhere, and no redirect is followed: put the last address into sms.http.url."
	case status >= 500:
		return "The gateway is out of order; a login tries again."
	}
	return "Hold sms.http.body and sms.http.headers against the gateway's manual."
}
