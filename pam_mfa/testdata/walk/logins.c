/* The logins of the walk, and the rules that each must keep whatever fails. */

#define _GNU_SOURCE
#include "logins.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char no_text[] = "";

#define LONG_50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_500 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50
#define LONG_KEY "publickey " LONG_500 LONG_500 LONG_500 LONG_500 LONG_500 LONG_500

/* PASSWORD and CODE as OpenVPN wraps them. */
#define CODED "MzE0MTU5MjY1MzU4OTc5MzIzODQ2MjY0MzM4MzI3OTUwMjg4NDE5Nw=="
#define CHALLENGE "SCRV1:Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5LXN0YXBsZQ==:" CODED

const char *const secrets[] = {CODE, SECOND_CODE, WRONG_CODE, PASSWORD, CODED, NULL};

const struct login logins[] = {
	{.name = "right", .service = "plain", .play = "ivehs", .answers = {CODE, SECOND_CODE}, .acct = IGNORED},
	{.name = "wrong", .service = "plain", .play = "vs", .answers = {WRONG_CODE}, .auth = PAM_AUTH_ERR, .acct = IGNORED},
	{.name = "new password", .service = "plain", .play = "v!", .answers = {CODE}, .acct = PAM_NEW_AUTHTOK_REQD},
	{.name = "exempt", .service = "plain", .play = "x", .auth = IGNORED, .acct = IGNORED},
	{.name = "refused", .service = "plain", .play = "eu", .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED},
	{.name = "password typed", .service = "first", .play = "pvs", .answers = {PASSWORD, CODE}, .acct = IGNORED},
	{.name = "long frames", .service = "plain", .play = "lLvs", .answers = {CODE}, .info = LONG_KEY, .acct = IGNORED},
	{.name = "debug", .service = "debug", .play = "ivs", .answers = {CODE}, .acct = IGNORED},
	{.name = "debug, fails", .service = "debug", .play = "ivs", .auth = PAM_CONV_ERR, .acct = IGNORED},
	{.name = "breaks the protocol", .service = "ignore", .play = "z", .auth = PAM_SYSTEM_ERR, .acct = IGNORED, .lets_in_absent = true},
	{.name = "bad argument", .service = "bad", .auth = PAM_SYSTEM_ERR, .acct = PAM_SYSTEM_ERR},

	{.name = "one line", .service = "split", .play = "hs", .split = "C", .answers = {PASSWORD CODE}, .acct = IGNORED},
	{.name = "one line, wrong code", .service = "split", .play = "hs", .split = "C", .answers = {PASSWORD WRONG_CODE}, .auth = PAM_AUTH_ERR, .acct = IGNORED},
	{.name = "one line, wrong password", .service = "split", .play = "hs", .split = "C", .answers = {"battery" CODE}, .auth = PAM_AUTH_ERR, .acct = IGNORED},
	{.name = "one line, no code", .service = "split", .play = "hs", .split = "C", .answers = {PASSWORD}, .auth = PAM_CONV_ERR, .acct = IGNORED},
	{.name = "one line, challenge", .service = "split", .play = "hs", .split = "C", .answers = {CHALLENGE}, .acct = IGNORED},
	{.name = "one line, again", .service = "split", .play = "hs", .split = "C", .answers = {"battery" CODE, PASSWORD CODE}, .attempts = 2, .acct = IGNORED},
	{.name = "one line, no answer", .service = "split", .play = "hs", .split = "C", .auth = PAM_CONV_ERR, .acct = IGNORED},
	{.name = "one line, lets in", .service = "split", .play = "hs", .split = "s", .answers = {PASSWORD CODE}, .auth = PAM_SYSTEM_ERR, .acct = IGNORED},

	{.name = "away", .service = "away", .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED},
	{.name = "away, silent", .service = "away", .flags = PAM_SILENT, .answers = {no_text}, .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED},
	{.name = "away, silent, Enter", .service = "away", .flags = PAM_SILENT, .answers = {"x"}, .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED},
	{.name = "away, ignored", .service = "away-ignore", .auth = IGNORED, .acct = IGNORED, .lets_in_absent = true},
	{.name = "there, not ignored", .service = "ignore", .play = "vs", .answers = {WRONG_CODE}, .auth = PAM_AUTH_ERR, .acct = IGNORED, .lets_in_absent = true},
	{.name = "hangs", .service = "ignore", .play = ".", .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED, .lets_in_absent = true, .squeeze = true},
	{.name = "hangs later", .service = "plain", .play = "iv.", .answers = {CODE}, .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED, .squeeze = true},
	{.name = "hangs up", .service = "ignore", .play = "-", .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED, .lets_in_absent = true, .squeeze = true},
	{.name = "conversation fails", .service = "plain", .play = "vs", .auth = PAM_CONV_ERR, .acct = IGNORED},
	{.name = "conversation gives nothing", .service = "plain", .play = "vs", .answers = {no_text}, .auth = PAM_CONV_ERR, .acct = IGNORED},
	{.name = "conversation fails, and hangs", .service = "plain", .play = "p.", .auth = PAM_CONV_ERR, .acct = IGNORED, .squeeze = true},

	{.name = "key", .service = "sshd", .info = "publickey ssh-ed25519 AAAA", .acct = IGNORED, .key = true},
	{.name = "no key", .service = "sshd", .info = "password", .auth = IGNORED, .acct = IGNORED, .key = true},
};
const int login_count = sizeof(logins) / sizeof(logins[0]);

const char *play_of(const char *tty, bool split)
{
	for (int i = 0; i < login_count; i++)
		if (strcmp(logins[i].name, tty) == 0)
			return split ? logins[i].split : logins[i].play;
	return NULL;
}

/* The application. */

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	struct transaction *t = data;
	int style = messages[0]->msg_style;

	if (n != 1)
		return PAM_CONV_ERR;
	if (style == PAM_TEXT_INFO || style == PAM_ERROR_MSG) {
		*responses = calloc(1, sizeof(**responses));
		return PAM_SUCCESS;
	}
	if (*t->next == NULL)
		return PAM_CONV_ERR;
	*responses = calloc(1, sizeof(**responses));
	if (*t->next != no_text)
		(*responses)->resp = strdup(*t->next);
	t->next++;
	return PAM_SUCCESS;
}

static void must(int code, const char *what)
{
	if (code == PAM_SUCCESS)
		return;
	fprintf(stderr, "%s: PAM code %d\n", what, code);
	exit(2);
}

void begin(struct transaction *t, const struct login *l, int slot)
{
	struct pam_conv conv = {converse, t};
	char number[16], info[4096];

	*t = (struct transaction){.login = l, .next = l->answers};
	run.slot = slot;
	run.squeeze = l->squeeze;
	snprintf(number, sizeof(number), "%d", slot);
	must(pam_start_confdir(l->service, "alice", &conv, folder, &t->pamh), "pam_start_confdir");
	must(pam_set_item(t->pamh, PAM_TTY, l->name), "PAM_TTY");
	must(pam_set_item(t->pamh, PAM_RUSER, number), "PAM_RUSER");
	if (l->info != NULL) {
		snprintf(info, sizeof(info), "SSH_AUTH_INFO_0=%s", l->info);
		must(pam_putenv(t->pamh, info), "pam_putenv");
	}
}

void authenticate(struct transaction *t)
{
	int left = t->login->attempts > 0 ? t->login->attempts : 1;

	for (; left > 0; left--) {
		said_nothing(run.slot);
		t->auth = pam_authenticate(t->pamh, t->login->flags);
	}
	t->calls_in_auth = run.calls;
}

void account(struct transaction *t)
{
	t->acct = pam_acct_mgmt(t->pamh, 0);
}

void finish(struct transaction *t, int flags)
{
	pam_end(t->pamh, t->auth | flags);
}

/* What stays in memory. */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NO_LOOK
#endif
#endif

enum { DEPTH = 48 << 10 }; /* of the stack that is looked at */

#ifdef NO_LOOK
static void clear_stack(void) {}
static bool stack_has_secret(void) { return false; }
static bool heap_has_secret(void) { return false; }
#else
static __attribute__((noinline)) void clear_stack(void)
{
	char room[DEPTH + 4096];

	explicit_bzero(room, sizeof(room));
}

/* Looks at what the calls of before left below this one. */
static __attribute__((noinline)) bool stack_has_secret(void)
{
	static _Thread_local char copy[DEPTH];
	const char *volatile here = __builtin_frame_address(0);
	bool has;

	memcpy(copy, here - DEPTH, DEPTH);
	has = has_secret(copy, DEPTH);
	explicit_bzero(copy, DEPTH);
	return has;
}

/* Codes alone: libpam itself keeps the configuration, in which the password stands. */
static bool heap_has_secret(void)
{
	static char *bottom;
	char *top = sbrk(0);

	if (bottom == NULL)
		bottom = top; /* the first time nothing is there yet */
	for (const char *const *s = secrets; *s != NULL; s++) {
		size_t half = strlen(*s) / 2;

		if (strcmp(*s, PASSWORD) != 0 && memmem(bottom, (size_t)(top - bottom), *s + half, half) != NULL)
			return true;
	}
	return false;
}
#endif

/* The rules. */

/* How long a login may wait: for each call of the module timeout=10, the daemon's last word,
 * and the waits before it is called again. */
static int64_t most_ms(const struct login *l)
{
	int attempts = l->attempts > 0 ? l->attempts : 1;

	return (int64_t)attempts * (l->split != NULL ? 2 : 1) * (10000 + 2000 + 3 * 250);
}

const char *broken_rule(const struct transaction *t)
{
	const struct login *l = t->login;
	bool change;
	int letter = said(run.slot, &change);

	if (t->auth == PAM_SUCCESS && letter != 's' && !(l->key && l->auth == PAM_SUCCESS))
		return "let in without the daemon's word";
	if (t->auth == IGNORED && letter != 'x' && !l->key &&
	    !(l->lets_in_absent && (run.absent || l->auth == IGNORED)))
		return "PAM_IGNORE without the daemon's word";
	if (t->acct == PAM_SUCCESS || (t->acct == PAM_NEW_AUTHTOK_REQD && !(change && t->auth == PAM_SUCCESS)))
		return "pam_acct_mgmt says what nobody asked for";
	if (t->auth == PAM_SUCCESS && change && t->acct != PAM_NEW_AUTHTOK_REQD && run.pattern == ONCE &&
	    run.fault[0].at <= t->calls_in_auth && run.fault[1].at <= t->calls_in_auth)
		return "the demand of a new password is lost";
	if (!run.unlike && (t->auth != l->auth || t->acct != l->acct))
		return "ended otherwise, though nothing happened that may matter";
	if (run.skipped_ms > most_ms(l))
		return "waited beyond the deadline";
	if (run.sockets != 0)
		return "a descriptor is left open";
	for (int i = 0; i < HELD; i++)
		if (run.held[i].at != NULL)
			return "memory is not freed";
	return run.fault_found;
}

const char *go_through(const struct login *l, int slot)
{
	struct transaction t;
	bool look = looks && alone;

	if (look) {
		heap_has_secret();
		clear_stack();
	}
	begin(&t, l, slot);
	run.armed = true;
	authenticate(&t);
	if (look && stack_has_secret() && run.fault_found == NULL)
		run.fault_found = "a secret on the stack";
	account(&t);
	finish(&t, 0);
	run.armed = false;
	if (look && heap_has_secret() && run.fault_found == NULL)
		run.fault_found = "a secret on the heap";
	if (broken_rule(&t) != NULL)
		complain(l, broken_rule(&t), &t);
	return broken_rule(&t);
}
