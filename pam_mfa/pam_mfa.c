/*
 * pam_mfa.so: what Linux-PAM calls, and nothing that decides.
 *
 * It reads the module's arguments, tells the relay about the login, lends it
 * the application's conversation, and turns its verdict into a PAM code. It
 * knows no method, no policy and no configuration file; see relay.h for why
 * this is C and for what may be relied on. The code starts as a failure, an
 * unknown argument fails the login, and the only environment that is read is
 * PAM's own (pam_getenv(3)), which the application and other modules set.
 */

#include "options.h"
#include "relay.h"

#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#ifndef PAM_MFA_VERSION
#define PAM_MFA_VERSION "dev"
#endif

#define EXPORTED __attribute__((visibility("default")))

/* "mfactl doctor" finds the version in the file by the words before it. */
#define VERSION_MARK "pam_mfa version "
static const char marked_version[] __attribute__((used)) = VERSION_MARK PAM_MFA_VERSION;
static const char *const version = marked_version + sizeof(VERSION_MARK) - 1;

/* Under this name acct_mgmt finds that a password change was asked for. */
#define CHANGE_KEY "pam_mfa:change_password"

/* Under this name the line that checks the code finds what "split" kept. */
#define KEPT_KEY "pam_mfa:behind_password"

/* "split" leaves this in PAM_OLDAUTHTOK, which nobody needs before a change of the password,
 * and which libpam clears when an attempt begins and when it ends: what was kept without it
 * is of an earlier attempt. */
static const char *const this_attempt = "pam_mfa:split";

enum { MAX_NAME = 128 }; /* of a name in the log */

/* Kept by "split". Nothing is asked in a login in which it ran. */
struct kept {
	int code;                          /* PAM_IGNORE, or why it refused */
	char answer[RELAY_MAX_ANSWER + 1]; /* empty: the password came alone */
};

enum { ASKER_ROOM = sizeof("#18446744073709551615") };

struct login {
	pam_handle_t *pamh;
	int flags;
	struct options options;
	struct relay_hello hello;
	char asker[ASKER_ROOM]; /* of the hello, where the application names none */
	struct kept *kept; /* or NULL: who logs in can be asked */
	bool said;         /* mfad had something said or asked */
};

/* What the relay is told about the login. */

static const char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	return pam_get_item(pamh, type, &value) == PAM_SUCCESS ? value : NULL;
}

/*
 * Who asks: whom the application names, else who started it, as "#UID", where it has more
 * rights than that user (set-uid root, as chsh(1)).
 */
static const char *asker(struct login *in)
{
	const char *named = item(in->pamh, PAM_RUSER);
	uid_t user = getuid();

	if ((named != NULL && named[0] != '\0') || user == geteuid())
		return named;
	snprintf(in->asker, sizeof(in->asker), "#%lu", (unsigned long)user);
	return in->asker;
}

static int describe(struct login *in)
{
	const char *user = NULL;
	int code = pam_get_user(in->pamh, &user, NULL);

	if (code != PAM_SUCCESS || user == NULL) {
		pam_syslog(in->pamh, LOG_NOTICE, "cannot learn the user's name: %s",
			   pam_strerror(in->pamh, code));
		return code == PAM_CONV_ERR ? PAM_CONV_ERR : PAM_SYSTEM_ERR;
	}
	in->hello = (struct relay_hello){
		.flags = (uint32_t)in->flags,
		.field = {
			[RELAY_SERVICE] = item(in->pamh, PAM_SERVICE),
			[RELAY_USER] = user,
			[RELAY_RHOST] = item(in->pamh, PAM_RHOST),
			[RELAY_TTY] = item(in->pamh, PAM_TTY),
			[RELAY_RUSER] = asker(in),
			[RELAY_SSH_AUTH_INFO] = pam_getenv(in->pamh, "SSH_AUTH_INFO_0"),
			[RELAY_SSH_CONNECTION] = pam_getenv(in->pamh, "SSH_CONNECTION"),
			[RELAY_MODULE] = version,
		},
	};
	if (in->kept != NULL)
		in->hello.field[RELAY_HELD] = in->kept->answer[0] != '\0' ? "answer" : "nothing";
	return PAM_SUCCESS;
}

/* The application's conversation, lent to the relay. */

static void say(void *who, bool failure, const char *text)
{
	struct login *in = who;

	in->said = true;
	if (in->options.debug)
		pam_syslog(in->pamh, LOG_DEBUG, "mfad says %zu bytes%s", strlen(text),
			   failure ? ", an error" : "");
	if (!(in->flags & PAM_SILENT))
		pam_prompt(in->pamh, failure ? PAM_ERROR_MSG : PAM_TEXT_INFO, NULL, "%s", text);
}

/*
 * An application with PAM_SILENT (sudo) shows no messages, and its user would
 * take the refusal for a wrong password: there the text is a prompt, and what is
 * typed is thrown away. In a login in one line there is no such prompt.
 */
static void tell_unavailable(const struct login *in)
{
	static const char text[] = "The second factor cannot be checked right now. Try again later.";
	char *line = NULL;

	if (!(in->flags & PAM_SILENT)) {
		pam_prompt(in->pamh, PAM_ERROR_MSG, NULL, "%s", text);
		return;
	}
	if (in->kept != NULL)
		return;
	pam_prompt(in->pamh, PAM_PROMPT_ECHO_ON, &line, "%s\nPress Enter to go on: ", text);
	if (line != NULL) {
		explicit_bzero(line, strlen(line));
		free(line);
	}
}

/*
 * After a refusal that is no fault of the person's: one that mfad gave no reason for (it had no
 * room, or a fault), or that it knows nothing of, is told by us. Else the password would be
 * typed again and again.
 */
static void tell_refusal(const struct login *in, const struct relay_verdict *v, int code)
{
	if ((code == PAM_AUTHINFO_UNAVAIL || code == PAM_SYSTEM_ERR) && !(v->spoken && in->said))
		tell_unavailable(in);
}

/* Hands over what was kept, once. */
static char *answer_kept(struct kept *kept)
{
	char *line = kept->answer[0] != '\0' ? strdup(kept->answer) : NULL;

	explicit_bzero(kept->answer, sizeof(kept->answer));
	return line;
}

static char *ask(void *who, bool echo, const char *text)
{
	struct login *in = who;
	char *line = NULL;
	int style = echo ? PAM_PROMPT_ECHO_ON : PAM_PROMPT_ECHO_OFF;
	int code;

	in->said = true;
	if (in->kept != NULL)
		return answer_kept(in->kept);
	code = pam_prompt(in->pamh, style, &line, "%s", text);

	if (in->options.debug)
		pam_syslog(in->pamh, LOG_DEBUG, "mfad asks with %zu bytes, echo %s; the application: %s",
			   strlen(text), echo ? "on" : "off",
			   code == PAM_SUCCESS && line == NULL ? "no answer" : pam_strerror(in->pamh, code));
	if (code != PAM_SUCCESS && line != NULL) {
		explicit_bzero(line, strlen(line));
		free(line);
		line = NULL;
	}
	return line;
}

/* What the verdict means to PAM. */

struct meaning {
	const char *words;
	int code;
	const char *name;
};

static struct meaning meaning_of(const struct relay_verdict *v, const struct options *o)
{
#define MEANS(words, code) (struct meaning){words, code, #code}
	switch (v->outcome) {
	case RELAY_ACCEPTED:
		return MEANS("accepted", PAM_SUCCESS);
	case RELAY_EXEMPT:
		return o->exempt_succeeds ? MEANS("not needed", PAM_SUCCESS)
					  : MEANS("not needed", PAM_IGNORE);
	case RELAY_WRONG_CODE:
		return MEANS("refused, wrong code", PAM_AUTH_ERR);
	case RELAY_EXHAUSTED:
		return v->untried ? MEANS("refused untried, locked or at a limit", PAM_MAXTRIES)
				  : MEANS("refused, attempts used up or locked", PAM_MAXTRIES);
	case RELAY_MUST_ENROLL:
		return MEANS("refused, not enrolled", PAM_PERM_DENIED);
	case RELAY_NO_CONVERSATION:
		return MEANS("refused, nobody answered", PAM_CONV_ERR);
	case RELAY_NOT_ALLOWED:
		return MEANS("refused, this program may not ask for this user", PAM_PERM_DENIED);
	case RELAY_UNAVAILABLE:
	case RELAY_HUNG_UP:
		return MEANS("refused, cannot be checked", PAM_AUTHINFO_UNAVAIL);
	case RELAY_ABSENT:
		return o->ignore_unavailable
			       ? MEANS("LET IN WITHOUT A SECOND FACTOR (unavailable=ignore)", PAM_IGNORE)
			       : MEANS("refused, mfad is not there", PAM_AUTHINFO_UNAVAIL);
	case RELAY_CODE_SENT:
		return MEANS("refused, a code was sent and the next login carries it", PAM_AUTH_ERR);
	case RELAY_CUT:
	case RELAY_BROKEN:
		break;
	}
	return MEANS("refused, a fault", PAM_SYSTEM_ERR);
#undef MEANS
}

/*
 * A name from outside as one printable word, so that it cannot pretend to be
 * another part of a log line.
 */
static const char *one_word(const char *name, char *to, size_t room)
{
	size_t n = 0;

	for (; name != NULL && name[n] != '\0' && n + 1 < room; n++)
		to[n] = name[n] > ' ' && name[n] < 0x7f ? name[n] : '?';
	to[n] = '\0';
	return to;
}

static int priority_of(const struct meaning *m, const struct relay_verdict *v)
{
	if (m->code != PAM_SUCCESS && m->code != PAM_IGNORE)
		return LOG_NOTICE;
	return v->outcome == RELAY_ABSENT ? LOG_ALERT : LOG_INFO;
}

static void report(const struct login *in, const struct relay_verdict *v, const struct meaning *m)
{
	char user[MAX_NAME], rhost[MAX_NAME];

	if (v->password_typed)
		pam_syslog(in->pamh, LOG_NOTICE,
			   "the password was given at the second factor's prompt and was not sent on; "
			   "for ssh use keyboard-interactive (KbdInteractiveAuthentication yes)");
	if (v->why[0] != '\0')
		pam_syslog(in->pamh, LOG_ERR, "%s", v->why);
	pam_syslog(in->pamh, priority_of(m, v), "second factor %s (%s) rhost=%s user=%s", m->words, m->name,
		   one_word(in->hello.field[RELAY_RHOST], rhost, sizeof(rhost)),
		   one_word(in->hello.field[RELAY_USER], user, sizeof(user)));
}

/* Tells acct_mgmt whether to demand a new password; an earlier login's demand ends. */
static bool leave_word(pam_handle_t *pamh, bool change_password)
{
	static char yes[] = "yes";

	return pam_set_data(pamh, CHANGE_KEY, change_password ? yes : NULL, NULL) == PAM_SUCCESS;
}

static int authenticate(struct login *in)
{
	struct relay_talk talk = {
		.who = in, .say = say, .ask = ask, .password = item(in->pamh, PAM_AUTHTOK)};
	struct relay_verdict v;
	struct meaning m;

	if (in->options.debug)
		pam_syslog(in->pamh, LOG_DEBUG, "version %s asks %s, timeout %d s", version,
			   in->options.socket, in->options.timeout);
	relay_run(in->options.socket, in->options.timeout, &in->hello, &talk, &v);
	if (!leave_word(in->pamh, v.change_password))
		v = (struct relay_verdict){.outcome = RELAY_BROKEN, .why = "out of memory"};
	m = meaning_of(&v, &in->options);
	report(in, &v, &m);
	tell_refusal(in, &v, m.code);
	return m.code;
}

/* The line "split". */

static void forget_kept(pam_handle_t *pamh, void *data, int status)
{
	(void)pamh, (void)status;
	explicit_bzero(data, sizeof(struct kept));
	free(data);
}

/* Cuts a line of n bytes into password, which has room for it, and what is kept. */
static enum split_found cut(const char *line, const struct split_endings *endings, char *password,
			    char *answer, struct kept *kept)
{
	struct split_cut at;
	enum split_found found = SPLIT_CODE;
	const char *code = answer;
	size_t n;

	if (!split_challenge(line, password, answer)) {
		memcpy(password, line, strlen(line) + 1);
		answer[0] = '\0';
	}
	n = strlen(answer);
	if (n == 0) {
		found = split_line(password, endings, &at);
		if (found == SPLIT_CODE) {
			code = password + at.code;
			n = at.end - at.code;
		}
	}
	if (n < sizeof(kept->answer)) /* what is longer is no code */
		memcpy(kept->answer, code, n);
	if (found == SPLIT_CODE && code != answer)
		explicit_bzero(password + at.password, at.end - at.password);
	return found;
}

/* Leaves the password alone in the place of the line, and keeps what stood behind it. */
static int divide(struct login *in, const char *line, const struct split_endings *endings)
{
	size_t room = strlen(line) + 1;
	char *password = calloc(2, room); /* and the answer behind it */
	int code = PAM_SYSTEM_ERR;

	if (password == NULL) {
		pam_syslog(in->pamh, LOG_ERR, "out of memory");
		return code;
	}
	if (cut(line, endings, password, password + room, in->kept) == SPLIT_BROKEN)
		pam_syslog(in->pamh, LOG_ERR, "mfad sent malformed endings");
	else if (strcmp(line, password) == 0 || pam_set_item(in->pamh, PAM_AUTHTOK, password) == PAM_SUCCESS)
		code = PAM_IGNORE;
	explicit_bzero(password, 2 * room);
	free(password);
	return code;
}

/* Asks mfad what may stand behind this user's password, and cuts there. It never says
 * to the person what it heard: the password was not checked yet. */
static int split_password(struct login *in)
{
	struct split_endings endings = {.size = 0};
	struct relay_talk talk = {.who = in, .say = say, .ask = ask, .cut = &endings};
	struct relay_verdict v;
	struct meaning m;
	const char *line = NULL;
	int code = pam_get_authtok(in->pamh, PAM_AUTHTOK, &line, NULL);

	if (code != PAM_SUCCESS || line == NULL) {
		pam_syslog(in->pamh, LOG_NOTICE, "no password was given: %s", pam_strerror(in->pamh, code));
		return PAM_CONV_ERR;
	}
	relay_run(in->options.socket, in->options.timeout, &in->hello, &talk, &v);
	if (v.outcome == RELAY_CUT)
		return divide(in, line, &endings);
	m = meaning_of(&v, &in->options);
	if (m.code == PAM_IGNORE) {
		pam_syslog(in->pamh, LOG_WARNING, "%s: all that was typed counts as the password", v.why);
		return m.code;
	}
	report(in, &v, &m);
	if (v.outcome == RELAY_BROKEN && v.spoken)
		pam_syslog(in->pamh, LOG_ERR, "mfad does not say how a line is cut; is it older than this module?");
	tell_refusal(in, &v, m.code);
	return m.code;
}

/* Its result is never PAM_SUCCESS: it proves nothing. */
static int split(struct login *in)
{
	int code;

	in->kept = calloc(1, sizeof(*in->kept));
	if (in->kept == NULL || pam_set_item(in->pamh, PAM_OLDAUTHTOK, this_attempt) != PAM_SUCCESS ||
	    pam_set_data(in->pamh, KEPT_KEY, in->kept, forget_kept) != PAM_SUCCESS) {
		free(in->kept);
		pam_syslog(in->pamh, LOG_ERR, "out of memory");
		return PAM_SYSTEM_ERR;
	}
	in->kept->code = PAM_SYSTEM_ERR;
	code = describe(in);
	if (code == PAM_SUCCESS)
		code = split_password(in);
	in->kept->code = code == PAM_SUCCESS ? PAM_SYSTEM_ERR : code;
	return in->kept->code;
}

/* Wipes what was kept. */
static bool drop_kept(pam_handle_t *pamh)
{
	return pam_set_data(pamh, KEPT_KEY, NULL, NULL) == PAM_SUCCESS;
}

/* Finds what "split" kept in this attempt; false if that cannot be told for sure. What an
 * earlier attempt left, in a stack that jumped over "split" this time, is wiped. */
static bool find_kept(struct login *in)
{
	const char *mark = item(in->pamh, PAM_OLDAUTHTOK);
	const void *kept = NULL;

	if (pam_get_data(in->pamh, KEPT_KEY, &kept) != PAM_SUCCESS || kept == NULL)
		return true;
	if (mark == NULL || strcmp(mark, this_attempt) != 0)
		return drop_kept(in->pamh);
	in->kept = (struct kept *)kept;
	return true;
}

/*
 * Whether sshd had a key before it asked PAM. It names each method that succeeded
 * on a line of its own, with details behind it (sshd_config(5), ExposeAuthInfo).
 */
static bool had_key(pam_handle_t *pamh)
{
	static const char method[] = "publickey";
	const char *service = item(pamh, PAM_SERVICE);
	const char *line = pam_getenv(pamh, "SSH_AUTH_INFO_0");

	if (service == NULL || strcmp(service, "sshd") != 0)
		return false;
	for (; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, method, sizeof(method) - 1) == 0 &&
		    strchr(" /\n", line[sizeof(method) - 1]) != NULL) /* or its end */
			return true;
	}
	return false;
}

/* The entry points. */

EXPORTED int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct login in = {.pamh = pamh, .flags = flags};
	int code = PAM_SYSTEM_ERR;

	if (!options_read(pamh, argc, argv, &in.options)) {
		tell_unavailable(&in);
		return code;
	}
	if (in.options.only_key)
		return had_key(pamh) ? PAM_SUCCESS : PAM_IGNORE;
	if (in.options.split)
		return split(&in);
	if (!find_kept(&in))
		return code;
	code = in.kept != NULL && in.kept->code != PAM_IGNORE ? in.kept->code : describe(&in);
	if (code == PAM_SUCCESS)
		code = authenticate(&in);
	if (in.kept != NULL && !drop_kept(pamh))
		code = PAM_SYSTEM_ERR;
	return code;
}

EXPORTED int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct options options;
	const void *word = NULL;

	(void)flags;
	if (!options_read(pamh, argc, argv, &options))
		return PAM_SYSTEM_ERR;
	if (pam_get_data(pamh, CHANGE_KEY, &word) == PAM_SUCCESS && word != NULL)
		return PAM_NEW_AUTHTOK_REQD;
	return PAM_IGNORE;
}

EXPORTED int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}

EXPORTED int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}

EXPORTED int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}

EXPORTED int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh, (void)flags, (void)argc, (void)argv;
	return PAM_IGNORE;
}
