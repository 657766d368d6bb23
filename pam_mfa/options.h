/* The arguments of the module in a PAM stack; see pam_mfa(8). */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <security/pam_modules.h>
#include <stdbool.h>

struct options {
	const char *socket;
	int timeout; /* seconds */
	bool ignore_unavailable;
	bool exempt_succeeds;
	bool only_key; /* proven=publickey: say whether sshd had a key, and ask nothing */
	bool split;    /* cut the code off the password, and keep it for the line below */
	bool debug;
};

/* Reads the arguments. An unknown or bad one is logged: false, and the login fails. */
bool options_read(pam_handle_t *pamh, int argc, const char **argv, struct options *o);

#endif
