package config

// laterKeys are the keys of mfa.toml whose capability a later version brings.
// A version that brings one moves it from here into Config.
var laterKeys = []string{
	"store.etcd.endpoints", "store.etcd.prefix", "store.etcd.username", "store.etcd.password_file",
	"store.etcd.ca_file", "store.etcd.cert_file", "store.etcd.key_file", "store.etcd.timeout",
	"policy.rule",
	"lockout.preset", "lockout.recovery", "lockout.notify", "lockout.force_password_change",
	"sms.provider", "sms.fallback_to_email", "sms.regions", "sms.per_user_per_day", "sms.per_hour",
	"sms.twilio.account_sid", "sms.twilio.auth_token_file", "sms.twilio.api_key",
	"sms.twilio.api_secret_file", "sms.twilio.from", "sms.twilio.messaging_service_sid",
	"sms.twilio.base_url", "sms.twilio.timeout",
	"sms.http.url", "sms.http.method", "sms.http.headers", "sms.http.body",
	"sms.command.path", "sms.command.args",
	"metrics.listen",
}

// laterWords are the words that a later version adds to keys of this one.
var laterWords = map[string][]string{
	"store.backend":  {"etcd"},
	"policy.methods": {"sms"},
}

const notYet = "not available yet in this version"
