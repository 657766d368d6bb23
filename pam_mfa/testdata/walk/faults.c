/* The module's calls of libc and libpam: counted, failing, and held to account. */

#define _GNU_SOURCE
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct run run;

static const struct {
	const char *name;
	struct way ways[8];
} table[CALLS] = {
	[MEMORY] = {"malloc", {{"ENOMEM", ENOMEM, false, false}}},
	[CLOCK] = {"clock_gettime", {{"EINVAL", EINVAL, false, false}}},
	[STAT] = {"stat", {{"ENOENT", ENOENT, false, true}, {"EACCES", EACCES, false, false}, {"ENOMEM", ENOMEM, false, false}}},
	[SOCKET] = {"socket", {{"EMFILE", EMFILE, false, false}, {"ENOBUFS", ENOBUFS, false, false}}},
	[FCNTL] = {"fcntl", {{"EMFILE", EMFILE, false, false}}},
	[SETSOCKOPT] = {"setsockopt", {{"ENOMEM", ENOMEM, false, false}}},
	[CONNECT] = {"connect", {{"EINTR", EINTR, true, false}, {"EAGAIN", EAGAIN, false, false}, {"ENOENT", ENOENT, false, true},
		     {"ECONNREFUSED", ECONNREFUSED, false, true}, {"EACCES", EACCES, false, false}, {"EPROTOTYPE", EPROTOTYPE, false, false}}},
	[POLL] = {"poll", {{"EINTR", EINTR, true, false}, {"ENOMEM", ENOMEM, false, false}}},
	[RECV] = {"recv", {{"EINTR", EINTR, true, false}, {"EAGAIN", EAGAIN, true, false}, {"short", SHORT, true, false},
		  {"end", END, false, false}, {"ECONNRESET", ECONNRESET, false, false}, {"ENOMEM", ENOMEM, false, false}}},
	[SEND] = {"send", {{"EINTR", EINTR, true, false}, {"EAGAIN", EAGAIN, true, false}, {"short", SHORT, true, false},
		  {"EPIPE", EPIPE, false, false}, {"ECONNRESET", ECONNRESET, false, false}, {"ENOBUFS", ENOBUFS, false, false}}},
	[CLOSE] = {"close", {{"EINTR", EINTR, true, false}, {"EIO", EIO, true, false}}},
	[GET_USER] = {"pam_get_user", {{"PAM_BUF_ERR", PAM_BUF_ERR, false, false}, {"PAM_CONV_ERR", PAM_CONV_ERR, false, false}, {"nothing", NOTHING, false, false}}},
	[GET_ITEM] = {"pam_get_item", {{"PAM_SYSTEM_ERR", PAM_SYSTEM_ERR, false, false}, {"nothing", NOTHING, false, false}}},
	[GETENV] = {"pam_getenv", {{"nothing", NOTHING, false, false}}},
	[PROMPT] = {"pam_prompt", {{"PAM_BUF_ERR", PAM_BUF_ERR, false, false}, {"PAM_CONV_ERR", PAM_CONV_ERR, false, false},
		    {"nothing", NOTHING, false, false}, {"PAM_CONV_ERR and a line", ANSWERED, false, false}}},
	[GET_AUTHTOK] = {"pam_get_authtok", {{"PAM_AUTHTOK_ERR", PAM_AUTHTOK_ERR, false, false}, {"nothing", NOTHING, false, false}}},
	[SET_ITEM] = {"pam_set_item", {{"PAM_BUF_ERR", PAM_BUF_ERR, false, false}}},
	[SET_DATA] = {"pam_set_data", {{"PAM_BUF_ERR", PAM_BUF_ERR, false, false}}},
	[GET_DATA] = {"pam_get_data", {{"PAM_SYSTEM_ERR", PAM_SYSTEM_ERR, false, false}}},
};

const char *name_of(enum call call)
{
	return table[call].name;
}

int ways_of(enum call call)
{
	int n = 0;

	while (table[call].ways[n].name != NULL)
		n++;
	return n;
}

static void found(const char *what)
{
	if (run.fault_found == NULL)
		run.fault_found = what;
}

/* Counts a call; returns how it is to fail, or NULL. */
static const struct way *counted(enum call call)
{
	const struct way *how = NULL;

	if (!run.armed)
		return NULL;
	run.calls++;
	for (int i = 0; i < FAULTS; i++) {
		if (run.calls != run.fault[i].at)
			continue;
		run.fault[i].call = call;
		if (run.fault[i].way < ways_of(call))
			how = run.fault[i].how = &table[call].ways[run.fault[i].way];
	}
	if (how == NULL && run.pattern != ONCE && run.fault[0].how != NULL && run.fault[0].call == call) {
		run.turn = !run.turn;
		if (run.pattern == ALWAYS || !run.turn)
			how = run.fault[0].how;
	}
	if (how == NULL)
		return NULL;
	if (run.pattern == ALWAYS && (how->error == EINTR || how->error == EAGAIN))
		run.skipped_ms += 100; /* else it would go on until the deadline */
	run.unlike |= !how->harmless || (run.pattern == ALWAYS && how->error != SHORT);
	run.absent |= how->absent;
	return how;
}

/* Fails a call of libc if it is its turn. */
static bool fails(enum call call, const struct way **how)
{
	*how = counted(call);
	if (*how == NULL || (*how)->error < 0)
		return false;
	errno = (*how)->error;
	return true;
}

bool has_secret(const void *memory, size_t n)
{
	for (const char *const *s = secrets; *s != NULL; s++) {
		size_t size = strlen(*s), half = size / 2;

		if (memmem(memory, n, *s + half, size - half) != NULL)
			return true;
	}
	return false;
}

/* Memory. */

static void *hold(void *at, size_t size)
{
	for (int i = 0; run.armed && at != NULL && i < HELD; i++)
		if (run.held[i].at == NULL) {
			run.held[i].at = at;
			run.held[i].size = size;
			return at;
		}
	return at;
}

void *__wrap_malloc(size_t n)
{
	const struct way *how;

	return fails(MEMORY, &how) ? NULL : hold(malloc(n), n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	const struct way *how;

	return fails(MEMORY, &how) ? NULL : hold(calloc(n, size), n * size);
}

char *__wrap_strdup(const char *text)
{
	const struct way *how;

	return fails(MEMORY, &how) ? NULL : hold(strdup(text), strlen(text) + 1);
}

void __wrap_free(void *at)
{
	for (int i = 0; at != NULL && i < HELD; i++) {
		if (run.held[i].at != at)
			continue;
		if (has_secret(at, run.held[i].size))
			found("freed memory with a secret in it");
		run.held[i].at = NULL;
		break;
	}
	free(at);
}

/* The kernel. */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	const struct way *how;
	int64_t ms;

	if (fails(CLOCK, &how))
		return -1;
	if (clock_gettime(clock, t) != 0)
		return -1;
	ms = (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000 + run.skipped_ms;
	t->tv_sec = ms / 1000;
	t->tv_nsec = ms % 1000 * 1000000;
	return 0;
}

int __wrap_stat(const char *path, struct stat *st)
{
	const struct way *how;

	return fails(STAT, &how) ? -1 : stat(path, st);
}

int __wrap_socket(int domain, int type, int protocol)
{
	const struct way *how;
	int fd;

	if (fails(SOCKET, &how))
		return -1;
	fd = socket(domain, type, protocol);
	run.sockets += fd >= 0;
	if (!(type & SOCK_CLOEXEC))
		found("a socket that programs inherit");
	return fd;
}

int __wrap_fcntl(int fd, int command, int argument)
{
	const struct way *how;
	int other;

	if (fails(FCNTL, &how))
		return -1;
	other = fcntl(fd, command, argument);
	run.sockets += other >= 0;
	return other;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
	const struct way *how;

	return fails(SETSOCKOPT, &how) ? -1 : setsockopt(fd, level, name, value, n);
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
	const struct way *how;

	if (fd <= STDERR_FILENO)
		found("a socket in the place of a standard descriptor");
	return fails(CONNECT, &how) ? -1 : connect(fd, to, n);
}

/*
 * Waits as poll(2). Where time is squeezed it passes at once when the daemon fell silent,
 * and behind a fault soon: what went lost is waited for on both sides.
 */
static int wait_or_skip(struct pollfd *p, nfds_t n, int ms)
{
	bool over;
	int ready, waited = 0;

	if ((!run.squeeze && !run.unlike) || ms <= 0)
		return poll(p, n, ms);
	do {
		over = n == 0 || is_silent(run.slot) || (run.unlike && waited == 5);
		ready = poll(p, n, over ? 0 : 1);
		waited++;
	} while (ready == 0 && !over);
	if (ready == 0)
		run.skipped_ms += ms;
	return ready;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int ms)
{
	const struct way *how;
	int ready;

	if (fails(POLL, &how))
		return -1;
	if (ms < 0)
		found("a wait without an end");
	ready = wait_or_skip(p, n, ms);
	run.interrupted += ready < 0 && errno == EINTR;
	return ready;
}

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags)
{
	const struct way *how;

	if (fails(RECV, &how))
		return -1;
	if (how != NULL && how->error == END)
		return 0;
	if (!(flags & MSG_DONTWAIT))
		found("a read that may wait without an end");
	return recv(fd, to, how != NULL && n > 1 ? 1 : n, flags);
}

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
	const struct way *how;

	if (fails(SEND, &how))
		return -1;
	if (!(flags & MSG_DONTWAIT) || !(flags & MSG_NOSIGNAL))
		found("a write that may wait without an end, or raise SIGPIPE");
	return send(fd, from, how != NULL && n > 1 ? 1 : n, flags);
}

int __wrap_close(int fd)
{
	const struct way *how;
	bool failed = fails(CLOSE, &how);
	int why = errno;

	run.sockets -= close(fd) == 0;
	errno = failed ? why : errno;
	return failed ? -1 : 0;
}

/* libpam. */

int __wrap_pam_get_user(pam_handle_t *pamh, const char **user, const char *prompt)
{
	const struct way *how = counted(GET_USER);

	if (how != NULL && how->error == NOTHING)
		return PAM_SUCCESS;
	return how != NULL ? how->error : pam_get_user(pamh, user, prompt);
}

int __wrap_pam_get_item(const pam_handle_t *pamh, int type, const void **value)
{
	const struct way *how = counted(GET_ITEM);

	if (how != NULL && how->error == NOTHING)
		return PAM_SUCCESS;
	return how != NULL ? how->error : pam_get_item(pamh, type, value);
}

const char *__wrap_pam_getenv(pam_handle_t *pamh, const char *name)
{
	return counted(GETENV) != NULL ? NULL : pam_getenv(pamh, name);
}

int __wrap_pam_prompt(pam_handle_t *pamh, int style, char **line, const char *format, ...)
{
	const struct way *how = counted(PROMPT);
	va_list args;
	int code;

	if (how != NULL && how->error == NOTHING)
		return PAM_SUCCESS;
	if (how != NULL && how->error != ANSWERED)
		return how->error;
	va_start(args, format);
	code = pam_vprompt(pamh, style, line, format, args);
	va_end(args);
	if (line != NULL && *line != NULL)
		hold(*line, strlen(*line) + 1);
	return how != NULL ? PAM_CONV_ERR : code;
}

int __wrap_pam_get_authtok(pam_handle_t *pamh, int item, const char **line, const char *prompt)
{
	const struct way *how = counted(GET_AUTHTOK);

	if (how != NULL && how->error == NOTHING)
		return PAM_SUCCESS;
	return how != NULL ? how->error : pam_get_authtok(pamh, item, line, prompt);
}

int __wrap_pam_set_item(pam_handle_t *pamh, int type, const void *value)
{
	const struct way *how = counted(SET_ITEM);

	return how != NULL ? how->error : pam_set_item(pamh, type, value);
}

int __wrap_pam_set_data(pam_handle_t *pamh, const char *name, void *data,
			void (*cleanup)(pam_handle_t *, void *, int))
{
	const struct way *how = counted(SET_DATA);

	return how != NULL ? how->error : pam_set_data(pamh, name, data, cleanup);
}

int __wrap_pam_get_data(const pam_handle_t *pamh, const char *name, const void **data)
{
	const struct way *how = counted(GET_DATA);

	return how != NULL ? how->error : pam_get_data(pamh, name, data);
}

void __wrap_pam_syslog(const pam_handle_t *pamh, int priority, const char *format, ...)
{
	char line[4096];
	va_list args;

	(void)pamh, (void)priority;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (has_secret(line, strlen(line)))
		found("a secret in the log");
	if (getenv("WALK_LOG") != NULL)
		fprintf(stderr, "log: %s\n", line);
}

/* What libpam itself logs reaches no system log. */

void syslog(int priority, const char *format, ...)
{
	(void)priority, (void)format;
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	(void)priority, (void)flag, (void)format;
}

void vsyslog(int priority, const char *format, va_list args)
{
	(void)priority, (void)format, (void)args;
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list args)
{
	(void)priority, (void)flag, (void)format, (void)args;
}
