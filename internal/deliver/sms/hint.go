package sms

import "net/http"

// Hints when a gateway was not reached.
const (
	hintGatewayName    = "Is the host name right? Do the name servers in /etc/resolv.conf answer?"
	hintGatewayConnect = "Are host and port right? Does a firewall let this machine out, or is there a proxy to go by (sms.proxy)?"
	hintProxyConnect   = "Look at sms.proxy, or where it is empty at HTTPS_PROXY and NO_PROXY in the environment of mfad.service (systemctl show mfad -p Environment)."
	hintProxyAuth      = "Look at sms.proxy_username and the file sms.proxy_password_file, or where sms.proxy is empty at HTTPS_PROXY in the environment of mfad.service."
	hintTunnel         = "The proxy has to let this machine CONNECT to the gateway: look at its log and its rules."
	hintGatewayTLS     = "The certificate must be signed by an authority that this system knows (update-ca-certificates), that of a proxy which opens TLS too."
	hintGatewayTLSPort = "Are port and https:// right?"
	hintGatewaySilent  = "The request was sent, so the text may still arrive. Is the gateway slow, or its timeout in mfa.toml short?"
)

// hintStatus says what to look at when a gateway answered with this status.
func hintStatus(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "The gateway refuses us: look at the credentials in sms.http.headers or sms.http.url, and the files they name."
	case status == http.StatusProxyAuthRequired:
		return hintProxyAuth
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
