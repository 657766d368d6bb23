/*
 * The other module of a test's PAM stack. With authtok=WORD it is a first factor
 * whose password is WORD; with wants=WORD it is one that takes the password from those
 * above it (use_first_pass), and finds it right if it is WORD; with later it is right in all
 * attempts of a transaction but the first; with code=N every call returns the PAM code N, which
 * tells a test that the module before it said PAM_IGNORE.
 */
#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>

static int returns(int argc, const char **argv)
{
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "code=", 5) == 0)
			return atoi(argv[i] + 5);
	return PAM_SUCCESS;
}

static int checks(pam_handle_t *pamh, const char *password)
{
	const void *given = NULL;

	if (pam_get_item(pamh, PAM_AUTHTOK, &given) != PAM_SUCCESS || given == NULL)
		return PAM_AUTH_ERR;
	return strcmp(given, password) == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
}

/* Whether this is not the first attempt. */
static int is_later(pam_handle_t *pamh)
{
	static char yes[] = "yes";
	const void *was = NULL;

	if (pam_get_data(pamh, "neighbour:later", &was) == PAM_SUCCESS)
		return PAM_SUCCESS;
	return pam_set_data(pamh, "neighbour:later", yes, NULL) == PAM_SUCCESS ? PAM_IGNORE : PAM_BUF_ERR;
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "wants=", 6) == 0)
			return checks(pamh, argv[i] + 6);
	if (argc == 1 && strcmp(argv[0], "later") == 0)
		return is_later(pamh);
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "authtok=", 8) == 0)
			return pam_set_item(pamh, PAM_AUTHTOK, argv[i] + 8);
	return returns(argc, argv);
}

#define RETURNS(name)                                                                  \
	int name(pam_handle_t *pamh, int flags, int argc, const char **argv)           \
	{                                                                              \
		(void)pamh, (void)flags;                                               \
		return returns(argc, argv);                                            \
	}

RETURNS(pam_sm_setcred)
RETURNS(pam_sm_acct_mgmt)
RETURNS(pam_sm_open_session)
RETURNS(pam_sm_close_session)
RETURNS(pam_sm_chauthtok)
