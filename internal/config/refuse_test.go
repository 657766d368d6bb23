package config

import (
	"strings"
	"testing"
)

// twilioCalls has people called by Twilio, in eight lines.
const twilioCalls = "[policy]\nmethods = ['call']\n[sms]\nprovider = 'twilio'\n[sms.twilio]\naccount_sid = 'AC1'\nauth_token_file = '/t'\nfrom = '+14155552671'\n"

// refusals holds at least one document for each way to be wrong, and the whole
// message. Documents begin on line 1.
var refusals = []struct{ name, document, want string }{
	// Keys and tables.
	{"unknown key, near one", "[code]\ndigit = 6", `F:2: code.digit: unknown key, did you mean "code.digits"?`},
	{"unknown key, other case", "[code]\nDigits = 6", `F:2: code.Digits: unknown key, did you mean "code.digits"?`},
	{"unknown key, capitals", "[code]\nDIGITS = 6", `F:2: code.DIGITS: unknown key, did you mean "code.digits"?`},
	{"unknown key, dash", "[code]\nmax-sends = 6", `F:2: code.max-sends: unknown key, did you mean "code.max_sends"?`},
	{"unknown key, other table", "[email]\nusername = 'x'", `F:2: email.username: unknown key, did you mean "email.smtp.username"?`},
	{"unknown key, no table", "mode = 'off'", `F:1: mode: unknown key, did you mean "policy.mode"?`},
	{"unknown key, dotted", "cod.digits = 6", `F:1: cod: unknown table, did you mean "code"?`},
	{"unknown key, near another one", "[session]\nlifetme = 'x'", `F:2: session.lifetme: unknown key, did you mean "session.lifetime"?`},
	{"unknown key, near none", "[code]\ncolour_of_the_sea = 6", "F:2: code.colour_of_the_sea: unknown key; allowed: code.digits, code.lifetime, code.entry_timeout, code.resend_after, code.max_sends, code.send_window"},
	{"unknown key, quoted dot", `"code.digits" = 6`, `F:1: "code.digits": unknown key, did you mean "code.digits"?`},
	{"unknown key, long", "[code]\n" + strings.Repeat("digits", 20) + " = 6", "F:2: code." + strings.Repeat("digits", 20) + ": unknown key; allowed: code.digits, code.lifetime, code.entry_timeout, code.resend_after, code.max_sends, code.send_window"},
	{"unknown table, near one", "[email.smpt]\nhost = 'x'", `F:1: email.smpt: unknown table, did you mean "email.smtp"?`},
	{"unknown table, near none", "\n[weather_of_today]\nrain = true", "F:2: weather_of_today: unknown table; allowed: server, store, secrets, policy, session, code, totp, hotp, backup, lockout, email, sms, contacts, prompt, audit, metrics, log"},
	{"unknown table, in a table", "[log.weather_of_today]", "F:1: log.weather_of_today: unknown table; allowed: log.level"},
	{"value in place of a table", "code = 6", "F:1: code: a whole number in place of a table; allowed: [code]"},
	{"list of tables in place of a table", "[[code]]\ndigits = 6", "F:1: code: a list of tables in place of a table; allowed: [code]"},
	{"table in place of a value", "[code.digits]\nx = 1", "F:1: code.digits: a table in place of a whole number; allowed: 6 to 10"},

	// Twice.
	{"key twice", "[code]\ndigits = 6\ndigits = 7", "F:3: code.digits: set twice; allowed: once"},
	{"table twice", "[code]\n[log]\n[code]", "F:3: code: set twice; allowed: once"},
	{"table and list", "[code]\n[log]\n[[code]]", "F:3: code: set twice; allowed: once"},
	{"table, then value", "code.digits = 8\ncode = 6", "F:2: code: set twice; allowed: once"},
	{"table in a table, then value", "[email]\nsmtp.port = 26\nsmtp = 'x'", "F:3: email.smtp: set twice; allowed: once"},

	// Not TOML.
	{"no quotes", "[code]\nlifetime = 10m", "F:2: this is not TOML: expected a top-level item to end with a newline, comment, or EOF, but got 'm' instead; allowed: [table] and key = value lines, with text and durations in quotes"},
	{"no value", "[code]\n\nlifetime =\n", `F:3: this is not TOML: expected value but found '\n' instead; allowed: [table] and key = value lines, with text and durations in quotes`},
	{"half a number", "[code]\ndigits = 0b\n", `F:2: this is not TOML: not a binary number: '0b\n'; allowed: [table] and key = value lines, with text and durations in quotes`},
	{"key with control", "\"\u009b\" = 1", `F:1: "\u009b": unknown key; allowed: server, store, secrets, policy, session, code, totp, hotp, backup, lockout, email, sms, contacts, prompt, audit, metrics, log`},
	{"not text", "\x00\x01", "F:1: this is not TOML: files cannot contain NULL bytes; probably using UTF-16; TOML files must be UTF-8; allowed: [table] and key = value lines, with text and durations in quotes"},
	{"number too large", "[code]\ndigits = 99999999999999999999", "F:2: this is not TOML: 99999999999999999999 is out of range for int64; allowed: [table] and key = value lines, with text and durations in quotes"},

	{"no server", "[contacts]\nsource = 'ldap'\n[contacts.ldap]\nbase = 'dc=example'", `F:2: contacts.ldap.urls: not set, but contacts.source is "ldap"; allowed: a list like ["ldaps://ldap.example.com"]`},
	{"no base", "[contacts]\nsource = 'ldap'\n[contacts.ldap]\nurls = ['ldaps://x']", `F:2: contacts.ldap.base: not set, but contacts.source is "ldap"; allowed: the name below which users are, like "ou=people,dc=example,dc=com"`},
	{"no password to bind with", "[contacts.ldap]\nbind_dn = 'cn=mfa'", `F:2: contacts.ldap.password_file: not set, but contacts.ldap.bind_dn is; allowed: both or neither`},
	{"nobody to bind as", "[contacts.ldap]\npassword_file = '/x'", `F:2: contacts.ldap.bind_dn: not set, but contacts.ldap.password_file is; allowed: both or neither`},
	{"no attribute", "[contacts.ldap]\nemail = ''\nphone = ''", `F:2: contacts.ldap.email: neither it nor contacts.ldap.phone names an attribute; allowed: one of both at least`},
	{"odd attribute", "[contacts.ldap]\nemail = 'mail)(uid=*'", `F:2: contacts.ldap.email: "mail)(uid=*" is not the name of an attribute; allowed: the name of an attribute, like "mail", or ""`},
	{"no program", "[contacts]\nsource = 'command'", `F:2: contacts.command.path: not set, but contacts.source is "command"; allowed: the path of a program`},
	{"unknown source", "[contacts]\nsource = 'nis'", `F:2: contacts.source: "nis" is unknown; allowed: "", "ldap", "userdb" or "command"`},
	{"kept too long", "[contacts]\nkeep = '91d'", `F:2: contacts.keep: "91d" is too long; allowed: "0s" to "90d"`},

	{"unknown preset", "[lockout]\npreset = 'pci'\nfailures = 7", `F:2: lockout.preset: "pci" is unknown; allowed: "", "cis" or "stig"`},

	// Types.
	{"text for a number", "[code]\ndigits = '6'", "F:2: code.digits: text in place of a whole number; allowed: 6 to 10"},
	{"decimal for a number", "[code]\ndigits = 6.5", "F:2: code.digits: a decimal number in place of a whole number; allowed: 6 to 10"},
	{"number for text", "[log]\nlevel = 1", `F:2: log.level: a whole number in place of text in quotes; allowed: "debug", "info", "warn" or "error"`},
	{"date for text", "[log]\nlevel = 2026-01-01", `F:2: log.level: a date or a time in place of text in quotes; allowed: "debug", "info", "warn" or "error"`},
	{"text for a truth", "[prompt]\necho = 'yes'", "F:2: prompt.echo: text in place of true or false; allowed: true or false, without quotes"},
	{"number for a duration", "[code]\nlifetime = 600", `F:2: code.lifetime: a whole number in place of a duration in quotes; allowed: "1s" to "1h"`},
	{"no duration", "[code]\nlifetime = 'soon'", `F:2: code.lifetime: "soon" is not a duration like "90s", "10m" or "90d"; allowed: "1s" to "1h"`},
	{"negative duration", "[code]\nlifetime = '-1m'", `F:2: code.lifetime: "-1m" is not a duration like "90s", "10m" or "90d"; allowed: "1s" to "1h"`},
	{"text for a list", "[policy]\nmethods = 'email'", `F:2: policy.methods: text in place of a list; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
	{"number in a list", "[policy]\nmethods = [1]", `F:2: policy.methods: a whole number in place of text in quotes in the list; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
	{"truth for text", "[store]\npath = true", `F:2: store.path: true or false in place of text in quotes; allowed: a path that begins with "/"`},
	{"list for text", "[store]\npath = ['/x']", `F:2: store.path: a list in place of text in quotes; allowed: a path that begins with "/"`},

	// Ranges.
	{"digits low", "[code]\ndigits = 5", "F:2: code.digits: 5 is out of range; allowed: 6 to 10"},
	{"digits high", "[code]\ndigits = 11", "F:2: code.digits: 11 is out of range; allowed: 6 to 10"},
	{"sends low", "[code]\nmax_sends = 0", "F:2: code.max_sends: 0 is out of range; allowed: 1 to 100"},
	{"sends high", "[code]\nmax_sends = 101", "F:2: code.max_sends: 101 is out of range; allowed: 1 to 100"},
	{"failures low", "[lockout]\nfailures = 0", "F:2: lockout.failures: 0 is out of range; allowed: 1 to 100"},
	{"failures high", "[lockout]\nfailures = 101", "F:2: lockout.failures: 101 is out of range; allowed: 1 to 100"},
	{"port low", "[email.smtp]\nport = 0", "F:2: email.smtp.port: 0 is out of range; allowed: 1 to 65535"},
	{"port high", "[email.smtp]\nport = 65536", "F:2: email.smtp.port: 65536 is out of range; allowed: 1 to 65535"},
	{"logins low", "[server]\nmax_logins = 0", "F:2: server.max_logins: 0 is out of range; allowed: 1 to 65536"},
	{"logins high", "[server]\nmax_logins = 65537", "F:2: server.max_logins: 65537 is out of range; allowed: 1 to 65536"},
	{"login short", "[server]\nlogin_timeout = '0s'", `F:2: server.login_timeout: "0s" is too short; allowed: "1s" to "10m"`},
	{"login long", "[server]\nlogin_timeout = '11m'", `F:2: server.login_timeout: "11m" is too long; allowed: "1s" to "10m"`},
	{"life short", "[code]\nlifetime = '0s'", `F:2: code.lifetime: "0s" is too short; allowed: "1s" to "1h"`},
	{"life long", "[code]\nlifetime = '61m'", `F:2: code.lifetime: "1h1m" is too long; allowed: "1s" to "1h"`},
	{"entry short", "[code]\nentry_timeout = '0s'", `F:2: code.entry_timeout: "0s" is too short; allowed: "1s" to "10m"`},
	{"entry long", "[code]\nentry_timeout = '11m'", `F:2: code.entry_timeout: "11m" is too long; allowed: "1s" to "10m"`},
	{"resend long", "[code]\nresend_after = '2h'", `F:2: code.resend_after: "2h" is too long; allowed: "0s" to "1h"`},
	{"send window short", "[code]\nsend_window = '0s'", `F:2: code.send_window: "0s" is too short; allowed: "1s" to "1d"`},
	{"send window long", "[code]\nsend_window = '2d'", `F:2: code.send_window: "2d" is too long; allowed: "1s" to "1d"`},
	{"window zero", "[lockout]\nwindow = '0s'", `F:2: lockout.window: "0s" is too short; allowed: "1s" to "30d"`},
	{"window long", "[lockout]\nwindow = '31d'", `F:2: lockout.window: "31d" is too long; allowed: "1s" to "30d"`},
	{"lock long", "[lockout]\nduration = '366d'", `F:2: lockout.duration: "366d" is too long; allowed: "0s" to "365d"`},
	{"timeout short", "[email.smtp]\ntimeout = '0s'", `F:2: email.smtp.timeout: "0s" is too short; allowed: "1s" to "2m"`},
	{"timeout long", "[email.smtp]\ntimeout = '3m'", `F:2: email.smtp.timeout: "3m" is too long; allowed: "1s" to "2m"`},

	// Words.
	{"mode", "[policy]\nmode = 'on'", `F:2: policy.mode: "on" is unknown; allowed: "off", "optional" or "required"`},
	{"totp digits", "[totp]\ndigits = 7", `F:2: totp.digits: 7 is out of range; allowed: 6 or 8`},
	{"totp issuer", "[totp]\nissuer = 'a:b'", `F:2: totp.issuer: a control character or a colon in the text; allowed: one line of at most 64 bytes, without a colon`},
	{"totp issuer long", "[totp]\nissuer = '" + strings.Repeat("x", 65) + "'", `F:2: totp.issuer: 65 bytes are too long; allowed: one line of at most 64 bytes, without a colon`},
	{"totp algorithm", "[totp]\nalgorithm = 'MD5'", `F:2: totp.algorithm: "MD5" is unknown; allowed: "SHA1", "SHA256" or "SHA512"`},
	{"totp skew", "[totp]\nskew = 11", `F:2: totp.skew: 11 is out of range; allowed: 0 to 10`},
	{"totp period", "[totp]\nperiod = '14s'", `F:2: totp.period: "14s" is too short; allowed: "15s" to "5m"`},
	{"backup codes", "[backup]\ncodes = 0", `F:2: backup.codes: 0 is out of range; allowed: 1 to 100`},
	{"qr", "[prompt]\nqr = 'png'", `F:2: prompt.qr: "png" is unknown; allowed: "utf8", "ascii" or "off"`},
	{"grace", "[policy]\nenroll_grace = '366d'", `F:2: policy.enroll_grace: "366d" is too long; allowed: "0s" to "365d"`},
	{"method unknown", "[policy]\nmethods = ['pigeon']", `F:2: policy.methods: "pigeon" is unknown; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
	{"sms region", "[sms]\nregions = ['us']", `F:2: sms.regions: "us" is not a country code of two capitals like "US" or "DE"`},
	{"sms region of another kind", "[sms]\nregions = [1]", `F:2: sms.regions: a whole number in place of text in quotes in the list; allowed: a list of country codes like "US" or "DE"`},
	{"sms template", "[sms]\ntemplate = 'Hello'", `F:2: sms.template: does not show the code; write {{.Code}} where it shall stand`},
	{"sms provider without account", "[sms]\nprovider = 'twilio'", `F:2: sms.twilio.account_sid: is empty`},
	{"sms with two credentials", "[sms]\nprovider = 'twilio'\n[sms.twilio]\naccount_sid = 'AC1'\nfrom = '+14155552671'\napi_key = 'SK1'\nauth_token_file = '/t'", `F:7: sms.twilio.auth_token_file: is set and so is an API key; leave one of them out`},
	{"calls without Twilio", "[policy]\nmethods = ['sms', 'call']", `F:2: policy.methods: "call" needs sms.provider = "twilio", which alone can call`},
	{"calls of a rule without Twilio", "[[policy.rule]]\nusers = ['x']\nmethods = ['call']", `F:3: policy.rule[1].methods: "call" needs sms.provider = "twilio", which alone can call`},
	{"language of a locale", "[prompt]\nlanguage = 'de_DE.UTF-8'", `F:2: prompt.language: "de_DE.UTF-8" is not a language; allowed: a language like "de" or "pt-BR" (RFC 5646), or "" for English`},
	{"language that is not spoken", twilioCalls + "[prompt]\nlanguage = 'tlh'", `F:10: prompt.language: "tlh" is not spoken in calls, which policy.methods has with "call"`},
	{"WhatsApp without a template", "[sms]\nprovider = 'twilio'\n[sms.twilio]\naccount_sid = 'AC1'\nauth_token_file = '/t'\nfrom = 'whatsapp:+14155552671'", `F:2: sms.twilio.content_sid: is empty and sms.twilio.from sends by WhatsApp, which takes codes only in a template`},
	{"sms proxy without scheme", "[sms]\nproxy = 'proxy.example.com:3128'", `F:2: sms.proxy: is not an address like "http://proxy.example.com:3128", nor "none"`},
	{"sms proxy with a password", "[sms]\nproxy = 'http://mfa:word@proxy.example.com:3128'", `F:2: sms.proxy: holds a user or a password; leave them out, and set sms.proxy_username and sms.proxy_password_file`},
	{"sms proxy without port", "[sms]\nproxy = 'http://proxy.example.com'", `F:2: sms.proxy: "http://proxy.example.com" has no port, as in "http://proxy.example.com:3128"`},
	{"sms proxy user alone", "[sms]\nprovider = 'command'\nproxy_username = 'mfa'", `F:3: sms.proxy_username: is set and sms.proxy names no proxy`},
	{"sms proxy for a program", "[sms]\nprovider = 'command'\nproxy = 'http://proxy.example.com:3128'", `F:3: sms.proxy: is set and sms.provider is "command", which runs a program that goes its own way`},
	{"sms header of another kind", "[sms.http]\nheaders = {a = 1}", `F:2: sms.http.headers: a whole number in place of text in quotes in the table; allowed: names and values, like Authorization = "Bearer {{file \"/etc/mfa/gateway\"}}"`},
	{"method twice", "[policy]\nmethods = ['email', 'email']", `F:2: policy.methods: "email" is in the list twice; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
	{"method none", "[policy]\nmethods = []", `F:2: policy.methods: the list is empty; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
	{"backend unknown", "[store]\nbackend = 'floppy'", `F:2: store.backend: "floppy" is unknown; allowed: "local" or "etcd"`},
	{"no members", "[store]\nbackend = 'etcd'", `F:2: store.etcd.endpoints: not set, but store.backend is "etcd"; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member without scheme", "[store.etcd]\nendpoints = ['etcd1:2379']", `F:2: store.etcd.endpoints: "etcd1:2379" has no scheme: https://; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member without port", "[store.etcd]\nendpoints = ['https://etcd1']", `F:2: store.etcd.endpoints: "https://etcd1" has no port; etcd's is 2379; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member with another scheme", "[store.etcd]\nendpoints = ['ftp://etcd1:2379']", `F:2: store.etcd.endpoints: "ftp://etcd1:2379" has the scheme "ftp"; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member with a path", "[store.etcd]\nendpoints = ['https://etcd1:2379/mfa']", `F:2: store.etcd.endpoints: "https://etcd1:2379/mfa" is not https://HOST:PORT; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member twice", "[store.etcd]\nendpoints = ['https://a:1', 'https://a:1']", `F:2: store.etcd.endpoints: "https://a:1" is in the list twice; allowed: a list like ["https://etcd1.example.com:2379"]`},
	{"member in clear", "[store.etcd]\nendpoints = ['http://192.0.2.1:2379']", `F:2: store.etcd.endpoints: "http://192.0.2.1:2379" is neither encrypted nor on this machine; allowed: https://, or http:// on loopback; all the same`},
	{"members both ways", "[store.etcd]\nendpoints = ['https://a:1', 'http://127.0.0.1:1']", `F:2: store.etcd.endpoints: some are https:// and some http://; allowed: https://, or http:// on loopback; all the same`},
	{"prefix without end", "[store.etcd]\nprefix = '/mfa'", `F:2: store.etcd.prefix: "/mfa" does not begin and end with a slash; allowed: a text that begins and ends with "/", like "/mfa/"`},
	{"prefix of nothing", "[store.etcd]\nprefix = '/'", `F:2: store.etcd.prefix: "/" does not begin and end with a slash; allowed: a text that begins and ends with "/", like "/mfa/"`},
	{"etcd's user without password", "[store.etcd]\nusername = 'x'", `F:2: store.etcd.password_file: not set, but store.etcd.username is; allowed: both or neither`},
	{"etcd's password without user", "[store.etcd]\npassword_file = '/x'", `F:2: store.etcd.username: not set, but store.etcd.password_file is; allowed: both or neither`},
	{"certificate without key", "[store.etcd]\ncert_file = '/x'", `F:2: store.etcd.key_file: not set, but store.etcd.cert_file is; allowed: both or neither`},
	{"key without certificate", "[store.etcd]\nkey_file = '/x'", `F:2: store.etcd.cert_file: not set, but store.etcd.key_file is; allowed: both or neither`},
	{"another scope", "[session]\nscope = 'world'", `F:2: session.scope: "world" is unknown; allowed: "host" or "fleet"`},
	{"transport", "[email]\ntransport = 'fax'", `F:2: email.transport: "fax" is unknown; allowed: "smtp", "sendmail" or "outbox"`},
	{"tls", "[email.smtp]\ntls = 'yes'", `F:2: email.smtp.tls: "yes" is unknown; allowed: "none", "opportunistic", "starttls" or "implicit"`},
	{"auth", "[email.smtp]\nauth = 'yes'", `F:2: email.smtp.auth: "yes" is unknown; allowed: "auto", "none", "plain", "login" or "cram-md5"`},
	{"level", "[log]\nlevel = 'INFO'", `F:2: log.level: "INFO" is unknown; allowed: "debug", "info", "warn" or "error"`},

	// Text.
	{"path relative", "[store]\npath = 'var/lib/mfa'", `F:2: store.path: not an absolute path; allowed: a path that begins with "/"`},
	{"path empty", "[secrets]\nkey_file = ''", `F:2: secrets.key_file: empty; allowed: a path that begins with "/", or "credential:NAME"`},
	{"path with control", "[audit]\nfile = \"/var/\\u0000\"", `F:2: audit.file: a control character in the path; allowed: a path that begins with "/", or ""`},
	{"password for its file", "[email.smtp]\nusername = 'x'\npassword_file = 'hunter2'", `F:3: email.smtp.password_file: not an absolute path; allowed: a path that begins with "/", "credential:NAME", or ""`},
	{"ca file", "[email.smtp]\nca_file = 'ca.pem'", `F:2: email.smtp.ca_file: not an absolute path; allowed: a path that begins with "/", "credential:NAME", or ""`},
	{"metrics name", "[metrics]\nlisten = 'localhost:9402'", `F:2: metrics.listen: "localhost:9402" is no address and port; allowed: an address and a port like "127.0.0.1:9402" or "[::1]:9402", "unix:/PATH", or ""`},
	{"metrics port", "[metrics]\nlisten = '127.0.0.1:0'", `F:2: metrics.listen: port 0 is no port; allowed: an address and a port like "127.0.0.1:9402" or "[::1]:9402", "unix:/PATH", or ""`},
	{"metrics path", "[metrics]\nlisten = 'unix:metrics.sock'", `F:2: metrics.listen: not an absolute path; allowed: an address and a port like "127.0.0.1:9402" or "[::1]:9402", "unix:/PATH", or ""`},
	{"outbox path", "[email.outbox]\npath = 'out'", `F:2: email.outbox.path: not an absolute path; allowed: a path that begins with "/", or ""`},
	{"sendmail path", "[email.sendmail]\npath = 'sendmail'", `F:2: email.sendmail.path: not an absolute path; allowed: a path that begins with "/"`},
	{"socket relative", "[server]\npam_socket = 'pam.sock'", `F:2: server.pam_socket: not an absolute path; allowed: a path that begins with "/", of at most 107 bytes`},
	{"socket long", "[server]\ncontrol_socket = '/" + strings.Repeat("x", 107) + "'", `F:2: server.control_socket: a path of 108 bytes is too long for a socket; allowed: a path that begins with "/", of at most 107 bytes`},
	{"group", "[server]\nadmin_group = 'a:b'", `F:2: server.admin_group: "a:b" is not the name of a group; allowed: the name of a group, or "" for root alone`},
	{"group with space", "[server]\nadmin_group = 'a '", `F:2: server.admin_group: "a " is not the name of a group; allowed: the name of a group, or "" for root alone`},
	{"from with control", "[email]\nfrom = '\"a\tb\" <mfa@example.com>'", `F:2: email.from: "\"a\tb\" <mfa@example.com>" is not an email address (RFC 5322); allowed: an address like "mfa@example.com" or "Example login <mfa@example.com>", or ""`},
	{"from", "[email]\nfrom = 'mfa at example.com'", `F:2: email.from: "mfa at example.com" is not an email address (RFC 5322); allowed: an address like "mfa@example.com" or "Example login <mfa@example.com>", or ""`},
	{"reply_to beyond ASCII", "[email]\nreply_to = 'hélp@exämple.com'", `F:2: email.reply_to: "hélp@exämple.com" is not an email address in ASCII (RFC 5322); allowed: an address like "mfa@example.com" or "Example login <mfa@example.com>", or ""`},
	{"from no relay takes", "[email]\nfrom = 'mfa@exa!mple.com'", `F:2: email.from: "mfa@exa!mple.com" is not an email address (RFC 5322); allowed: an address like "mfa@example.com" or "Example login <mfa@example.com>", or ""`},
	{"subject with control", "[email]\nsubject = \"a\\nBcc: b@example.com\"", "F:2: email.subject: a control character in the text; allowed: one line of at most 200 bytes"},
	{"subject long", "[email]\nsubject = '" + strings.Repeat("x", 201) + "'", "F:2: email.subject: 201 bytes are too long; allowed: one line of at most 200 bytes"},
	{"username long", "[email.smtp]\npassword_file = '/p'\nusername = '" + strings.Repeat("x", 257) + "'", "F:3: email.smtp.username: 257 bytes are too long; allowed: one line of at most 256 bytes"},
	{"host with port", "[email.smtp]\nhost = 'mail.example.com:587'", `F:2: email.smtp.host: "mail.example.com:587" is not a host; allowed: a name like "mail.example.com" or an address like "192.0.2.25", without a port`},
	{"host empty", "[email.smtp]\nhost = ''", `F:2: email.smtp.host: "" is not a host; allowed: a name like "mail.example.com" or an address like "192.0.2.25", without a port`},
	{"host of a long label", "[email.smtp]\nhost = '" + strings.Repeat("x", 64) + "'", `F:2: email.smtp.host: "` + strings.Repeat("x", 64) + `" is not a host; allowed: a name like "mail.example.com" or an address like "192.0.2.25", without a port`},
	{"host too long", "[email.smtp]\nhost = '" + strings.Repeat("x.", 127) + "'", `F:2: email.smtp.host: "` + strings.Repeat("x.", 127) + `" is not a host; allowed: a name like "mail.example.com" or an address like "192.0.2.25", without a port`},
	{"host with dash", "[email.smtp]\nhost = '-oProxy'", `F:2: email.smtp.host: "-oProxy" is not a host; allowed: a name like "mail.example.com" or an address like "192.0.2.25", without a port`},

	// One against the other.
	{"audit into the key", "[audit]\nfile = '/var/lib/mfa/key'", "F:2: audit.file: the same path as secrets.key_file; allowed: a path of its own"},
	{"audit into the database", "[audit]\nfile = '/var/lib/mfa//state.db'", "F:2: audit.file: a file of store.path; allowed: a path of its own"},
	{"audit into a log", "[audit]\nfile = '/srv/s/state-0.log'\n[store]\npath = '/srv/s/'", "F:2: audit.file: a file of store.path; allowed: a path of its own"},
	{"audit into a record", "[audit]\nfile = '/var/lib/mfa/users/alice.toml'", "F:2: audit.file: a file of store.path; allowed: a path of its own"},
	{"audit into a socket", "[audit]\nfile = '/run/mfa/pam.sock'", "F:2: audit.file: the same path as server.pam_socket; allowed: a path of its own"},
	{"one socket", "[server]\npam_socket = '/run/a'\ncontrol_socket = '/run/a'", "F:3: server.control_socket: the same path as server.pam_socket; allowed: a path of its own"},
	{"outbox without path", "[email]\ntransport = 'outbox'", `F:2: email.outbox.path: not set, but email.transport is "outbox"; allowed: the path of a folder for the messages`},
	{"username alone", "[email.smtp]\nusername = 'x'", "F:2: email.smtp.password_file: not set, but email.smtp.username is; allowed: both or neither"},
	{"password alone", "[email.smtp]\npassword_file = '/p'", "F:2: email.smtp.username: not set, but email.smtp.password_file is; allowed: both or neither"},
	{"username without auth", "[email.smtp]\nusername = 'x'\npassword_file = '/p'\nauth = 'none'", `F:4: email.smtp.auth: "none", but email.smtp.username is set; allowed: "auto" or "none" without email.smtp.username, anything but "none" with it`},
	{"auth without username", "[email.smtp]\nauth = 'plain'", `F:2: email.smtp.auth: "plain", but email.smtp.username is not set; allowed: "auto" or "none" without email.smtp.username, anything but "none" with it`},
	{"password in clear", "[email.smtp]\nhost = 'mail.example.com'\nusername = 'x'\npassword_file = '/p'\ntls = 'none'", `F:5: email.smtp.tls: "none" sends the password in clear to "mail.example.com"; allowed: "starttls" or "implicit", or a host on loopback`},
	{"unused transport", "[email]\ntransport = 'sendmail'\n[email.smtp]\nusername = 'x'", "F:4: email.smtp.password_file: not set, but email.smtp.username is; allowed: both or neither"},

	// Several at once.
	{
		"all, by line", "[code]\ndigits = 5\n\n[weather]\n[log]\nlevel = 'x'\n[store.etcd]\nprefix = '1d'",
		"F:2: code.digits: 5 is out of range; allowed: 6 to 10\n" +
			"F:4: weather: unknown table; allowed: server, store, secrets, policy, session, code, totp, hotp, backup, lockout, email, sms, contacts, prompt, audit, metrics, log\n" +
			`F:6: log.level: "x" is unknown; allowed: "debug", "info", "warn" or "error"` + "\n" +
			`F:8: store.etcd.prefix: "1d" does not begin and end with a slash; allowed: a text that begins and ends with "/", like "/mfa/"`,
	},
	{"all, on one line", "code = {max_sends = 0, digits = 5}", "F:1: code.digits: 5 is out of range; allowed: 6 to 10\nF:1: code.max_sends: 0 is out of range; allowed: 1 to 100"},
	{"no comparison with what is wrong", "[code]\nentry_timeout = '20m'", `F:2: code.entry_timeout: "20m" is too long; allowed: "1s" to "10m"`},
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range refusals {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse("F", []byte(tc.document))
			if err == nil {
				t.Fatalf("accepted\n%s\nwant %s", tc.document, tc.want)
			}
			if err.Error() != tc.want {
				t.Errorf("document\n%s\nsays %s\nwant %s", tc.document, err, tc.want)
			}
			if c.Policy.Mode != "" {
				t.Errorf("a refused file gave a config: %+v", c)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for name, document := range map[string]string{
		"nothing":                      "",
		"empty tables":                 "[code]\n[email.smtp]\n",
		"dotted keys":                  "code.digits = 8\nemail.smtp.port = 26",
		"inline table":                 "code = {digits = 8}",
		"byte order mark":              "\xef\xbb\xbf[code]\r\ndigits = 8\r\n",
		"unlock by hand":               "[lockout]\nduration = '0s'",
		"resend at once":               "[code]\nresend_after = '0s'",
		"no audit file":                "[audit]\nfile = ''",
		"root alone":                   "[server]\nadmin_group = ''",
		"group of a directory":         "[server]\nadmin_group = 'EXAMPLE\\domain admins'",
		"display name":                 "[email]\nfrom = 'Example login <mfa@example.com>'",
		"address of a mail server":     "[email.smtp]\nhost = '2001:db8::25'",
		"name with final dot":          "[email.smtp]\nhost = 'mail.example.com.'",
		"settings of another":          "[email]\ntransport = 'sendmail'\n[email.smtp]\nhost = 'mail.example.com'",
		"outbox":                       "[email]\ntransport = 'outbox'\noutbox.path = '/var/mail/out'",
		"password to localhost":        "[email.smtp]\nusername = 'x'\npassword_file = '/p'\ntls = 'none'",
		"password to 127.0.0.2":        "[email.smtp]\nhost = '127.0.0.2'\nusername = 'x'\npassword_file = '/p'\ntls = 'none'",
		"password to ::1":              "[email.smtp]\nhost = '::1'\nusername = 'x'\npassword_file = '/p'\ntls = 'none'",
		"password to mapped loopback":  "[email.smtp]\nhost = '::ffff:127.0.0.1'\nusername = 'x'\npassword_file = '/p'\ntls = 'none'",
		"no encryption, no password":   "[email.smtp]\nhost = 'mail.example.com'\ntls = 'none'",
		"no authentication, no name":   "[email.smtp]\nauth = 'none'",
		"login below a prompt":         "[server]\nlogin_timeout = '10s'",
		"life below a resend":          "[code]\nlifetime = '10s'",
		"longest socket":               "[server]\npam_socket = '/" + strings.Repeat("x", 106) + "'",
		"ends of ranges":               "[code]\ndigits = 10\nmax_sends = 100\nlifetime = '1h'\nsend_window = '24h'",
		"password encrypted elsewhere": "[email.smtp]\nhost = 'mail.example.com'\nusername = 'x'\npassword_file = '/p'\ntls = 'starttls'",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("F", []byte(document)); err != nil {
				t.Errorf("document\n%s\nrefused: %v", document, err)
			}
		})
	}
}
