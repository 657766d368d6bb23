/*
 * A PAM application for the tests: starts PAM with a folder of its own
 * configuration, plays answers, and writes what happened, one event a line, with
 * texts quoted as in Go. What the module logs comes out here too and reaches no
 * system log, because these definitions of syslog(3) win over libc's.
 *
 *	driver [-n runs] [-a attempts] [-s] [-C] [-E NAME=VALUE] [-r rhost]
 *	       [-t tty] [-u ruser] CONFDIR SERVICE USER [ANSWER...]
 *
 * -n repeats all of it, -a only pam_authenticate; -s passes PAM_SILENT; -C closes
 * the standard descriptors first. The answers @fail, @null and @none make the
 * conversation fail, answer with no text, and return no answers. When a login is
 * over, "kept N" says how many of its long answers are still on the heap.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { DESCRIPTORS = 64 };

static FILE *out;
static char **answers, **next_answer;

static void quote(const char *text)
{
	fputc('"', out);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < ' ' || *p >= 0x7f || *p == '"' || *p == '\\')
			fprintf(out, "\\x%02x", *p);
		else
			fputc(*p, out);
	}
	fputc('"', out);
}

static void event(const char *name, int number, const char *text)
{
	fprintf(out, "%s %d ", name, number);
	quote(text);
	fputc('\n', out);
	fflush(out);
}

static void log_line(int priority, const char *format, va_list args)
{
	char line[4096];

	vsnprintf(line, sizeof(line), format, args);
	event("log", priority & LOG_PRIMASK, line);
}

void syslog(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(priority, format, args);
	va_end(args);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list args;

	(void)flag;
	va_start(args, format);
	log_line(priority, format, args);
	va_end(args);
}

void vsyslog(int priority, const char *format, va_list args)
{
	log_line(priority, format, args);
}

static int threads(void)
{
	char line[128];
	int n = -1;
	FILE *status = fopen("/proc/self/status", "re");

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		sscanf(line, "Threads: %d", &n);
	if (status != NULL)
		fclose(status);
	return n;
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What the module holds open while the person is asked. */
static void look_around(void)
{
	struct stat st;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			event("socket", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC ? "cloexec" : "inherited");
	event("threads", threads(), "");
}

/* Whether the end of text is in the heap; allocators overwrite the beginning. */
static int on_heap(const char *text)
{
	char line[256];
	unsigned long from, to;
	int found = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "[heap]") != NULL && sscanf(line, "%lx-%lx", &from, &to) == 2)
			found |= memmem((void *)from, to - from, text + 24, strlen(text) - 24) != NULL;
	if (maps != NULL)
		fclose(maps);
	return found;
}

static int answers_kept(void)
{
	int n = 0;

	for (char **a = answers; *a != NULL; a++)
		if (strlen(*a) >= 48)
			n += on_heap(*a);
	return n;
}

static int answer(struct pam_response *response)
{
	const char *text = *next_answer;

	if (text == NULL || strcmp(text, "@fail") == 0)
		return PAM_CONV_ERR;
	next_answer++;
	if (strcmp(text, "@null") != 0)
		response->resp = strdup(text);
	return PAM_SUCCESS;
}

static int converse(int n, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	const struct pam_message *m = messages[0];
	struct pam_response *r;
	int code = PAM_SUCCESS;

	(void)data;
	if (n != 1)
		return PAM_CONV_ERR;
	event("conv", m->msg_style, m->msg);
	if (m->msg_style != PAM_PROMPT_ECHO_ON && m->msg_style != PAM_PROMPT_ECHO_OFF) {
		*responses = calloc(1, sizeof(**responses));
		return PAM_SUCCESS;
	}
	look_around();
	if (*next_answer != NULL && strcmp(*next_answer, "@none") == 0) {
		next_answer++;
		*responses = NULL;
		return PAM_SUCCESS;
	}
	r = calloc(1, sizeof(*r));
	code = answer(r);
	if (code != PAM_SUCCESS) {
		free(r);
		r = NULL;
	}
	*responses = r;
	return code;
}

static void check(int code, const char *what)
{
	if (code == PAM_SUCCESS)
		return;
	event("fault", code, what);
	exit(2);
}

static int attempts = 1;

static void login(const char *folder, const char *service, const char *user, char **items, int flags)
{
	static const int kinds[] = {PAM_RHOST, PAM_TTY, PAM_RUSER};
	struct pam_conv conv = {.conv = converse};
	pam_handle_t *pamh = NULL;
	int code = PAM_SUCCESS, before = open_descriptors();

	next_answer = answers;
	check(pam_start_confdir(service, user, &conv, folder, &pamh), "pam_start_confdir");
	for (int i = 0; i < 3; i++)
		if (items[i] != NULL)
			check(pam_set_item(pamh, kinds[i], items[i]), "pam_set_item");
	for (char **e = items + 3; *e != NULL; e++)
		check(pam_putenv(pamh, *e), "pam_putenv");

	for (int i = 0; i < attempts; i++) {
		code = pam_authenticate(pamh, flags);
		event("auth", code, "");
	}
	event("acct", pam_acct_mgmt(pamh, flags), "");
	event("cred", pam_setcred(pamh, PAM_ESTABLISH_CRED | flags), "");
	event("open", pam_open_session(pamh, flags), "");
	event("close", pam_close_session(pamh, flags), "");
	event("chauthtok", pam_chauthtok(pamh, flags), "");
	pam_end(pamh, code);
	event("kept", answers_kept(), "");
	event("leaked", open_descriptors() - before, "");
}

int main(int argc, char **argv)
{
	char *items[16] = {NULL};
	int option, runs = 1, flags = 0, env = 3, hide = 0;

	while ((option = getopt(argc, argv, "n:a:sCE:r:t:u:")) != -1) {
		switch (option) {
		case 'n': runs = atoi(optarg); break;
		case 'a': attempts = atoi(optarg); break;
		case 's': flags |= PAM_SILENT; break;
		case 'C': hide = 1; break;
		case 'r': items[0] = optarg; break;
		case 't': items[1] = optarg; break;
		case 'u': items[2] = optarg; break;
		case 'E':
			if (env < 15)
				items[env++] = optarg;
			break;
		default: return 2;
		}
	}
	if (argc - optind < 3)
		return 2;
	out = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10), "w");
	if (out == NULL)
		return 2;
	for (int fd = 0; hide && fd <= STDERR_FILENO; fd++)
		close(fd);

	answers = argv + optind + 3;
	for (int i = 0; i < runs; i++)
		login(argv[optind], argv[optind + 1], argv[optind + 2], items, flags);
	fclose(out);
	return 0;
}
