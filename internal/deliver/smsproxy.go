package deliver

import (
	"errors"
	"fmt"
	"net/url"
)

// ProxyNone is the value of SMSConfig.Proxy for no proxy, whatever the environment says.
const ProxyNone = "none"

// ProxyURL returns the proxy that sms.proxy names, without who logs in to it; nil if it
// names none. An error begins with the key, and shows nothing of a password.
func (cfg SMSConfig) ProxyURL() (*url.URL, error) {
	if cfg.Proxy == "" || cfg.Proxy == ProxyNone {
		return nil, nil
	}
	const like = `is not an address like "http://proxy.example.com:3128"`
	u, err := url.Parse(cfg.Proxy)
	switch {
	case err == nil && u.User != nil:
		return nil, errors.New("sms.proxy: holds a user or a password; leave them out, and set sms.proxy_username and sms.proxy_password_file")
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("sms.proxy: %s, nor %q", like, ProxyNone) // what it is may hold a password
	case u.Port() == "":
		return nil, fmt.Errorf("sms.proxy: %q has no port, as in \"http://proxy.example.com:3128\"", cfg.Proxy)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("sms.proxy: %q has something behind the port", cfg.Proxy)
	}
	u.Path = ""
	return u, nil
}

// checkProxy looks at the keys of the proxy; whether they fit together, once there is
// who goes by it.
func checkProxy(cfg SMSConfig) error {
	u, err := cfg.ProxyURL()
	switch {
	case err != nil || cfg.Provider == "":
		return err
	case u != nil && cfg.Provider == ProviderCommand:
		return errors.New(`sms.proxy: is set and sms.provider is "command", which runs a program that goes its own way`)
	case cfg.ProxyUsername != "" && u == nil:
		return errors.New("sms.proxy_username: is set and sms.proxy names no proxy")
	case cfg.ProxyPasswordFile != "" && cfg.ProxyUsername == "":
		return errors.New("sms.proxy_username: is empty and sms.proxy_password_file is set")
	case cfg.ProxyUsername != "" && cfg.ProxyPasswordFile == "":
		return errors.New("sms.proxy_password_file: is empty and sms.proxy_username is set")
	}
	return nil
}
