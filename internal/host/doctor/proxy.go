package doctor

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"mfa/internal/deliver"
)

// smsProxy returns the address of the proxy by which mfad goes to gateway, without who
// logs in to it: the one of sms.proxy, or of the environment of the mfad that runs, never
// of ours. It is empty if it goes straight, or nobody knows.
func (e *exam) smsProxy(gateway string) string {
	switch p := e.extra.SMS; {
	case p.Provider == deliver.ProviderCommand || p.Proxy == deliver.ProxyNone:
		return ""
	case p.Proxy != "":
		return p.Proxy
	case e.status == nil:
		return ""
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", e.status.PID))
	if err != nil {
		return ""
	}
	return proxyOf(strings.Split(string(environ), "\x00"), gateway)
}

// proxyOf returns the proxy that variables name for gateway (net/http has the rules; of
// those for NO_PROXY the ones for names and for everything are known here).
func proxyOf(environ []string, gateway string) string {
	value := map[string]string{}
	for _, v := range environ {
		name, text, _ := strings.Cut(v, "=")
		if name = strings.ToUpper(name); text != "" {
			value[name] = text
		}
	}
	gateway, _, _ = strings.Cut(gateway, "{{") // a template begins
	to, err := url.Parse(gateway)
	if err != nil {
		return ""
	}
	proxy := value[strings.ToUpper(to.Scheme)+"_PROXY"]
	if proxy == "" || deliver.IsLoopback(to.Hostname()) {
		return ""
	}
	for _, name := range strings.Split(value["NO_PROXY"], ",") {
		name = strings.TrimPrefix(strings.TrimSpace(name), ".")
		if name == "*" || name != "" && (to.Hostname() == name || strings.HasSuffix(to.Hostname(), "."+name)) {
			return ""
		}
	}
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
