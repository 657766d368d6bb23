/* Reads the arguments of the module. */

#include "options.h"
#include "relay.h"

#include <security/pam_ext.h>
#include <string.h>
#include <syslog.h>

enum {
	DEFAULT_TIMEOUT = 110, /* seconds; below sshd's LoginGraceTime of 120 */
	MAX_TIMEOUT = 3600,
};

/* The value of an argument that begins with name and '=', else NULL. */
static const char *value_of(const char *argument, const char *name)
{
	size_t n = strlen(name);

	return strncmp(argument, name, n) == 0 && argument[n] == '=' ? argument + n + 1 : NULL;
}

static bool read_seconds(const char *text, int *seconds)
{
	int n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (*p - '0');
		if (n > MAX_TIMEOUT)
			return false;
	}
	*seconds = n;
	return n >= 1;
}

/* Sets flag to whether text is the word yes; false if it is neither word. */
static bool read_choice(const char *text, const char *yes, const char *no, bool *flag)
{
	*flag = strcmp(text, yes) == 0;
	return *flag || strcmp(text, no) == 0;
}

static bool read_argument(const char *argument, struct options *o)
{
	const char *value;

	if (strcmp(argument, "debug") == 0)
		return o->debug = true;
	if (strcmp(argument, "split") == 0)
		return o->split = true;
	if ((value = value_of(argument, "socket")) != NULL) {
		o->socket = value;
		return relay_path_fits(value);
	}
	if ((value = value_of(argument, "timeout")) != NULL)
		return read_seconds(value, &o->timeout);
	if ((value = value_of(argument, "unavailable")) != NULL)
		return read_choice(value, "ignore", "deny", &o->ignore_unavailable);
	if ((value = value_of(argument, "proven")) != NULL)
		return o->only_key = strcmp(value, "publickey") == 0;
	if ((value = value_of(argument, "exempt")) != NULL)
		return read_choice(value, "success", "ignore", &o->exempt_succeeds);
	return false;
}

bool options_read(pam_handle_t *pamh, int argc, const char **argv, struct options *o)
{
	*o = (struct options){.socket = "/run/mfa/pam.sock", .timeout = DEFAULT_TIMEOUT};
	for (int i = 0; i < argc; i++) {
		if (read_argument(argv[i], o))
			continue;
		pam_syslog(pamh, LOG_ERR,
			   "bad argument \"%s\": known are socket=/ABSOLUTE/PATH (below 108 bytes), "
			   "timeout=1..%d, unavailable=deny|ignore, exempt=ignore|success, proven=publickey, split, debug",
			   argv[i], MAX_TIMEOUT);
		return false;
	}
	return true;
}
