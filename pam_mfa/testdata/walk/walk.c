/*
 * The walk's program. walk.h says how its parts belong together.
 *
 *	walk [-C] [-M] [-e EVERY] [-o OFFSET] faults|pairs|threads|signals|forks FOLDER SOCKET
 *
 * faults lets each call fail in each way; pairs two calls of a login; -e takes one of so many
 * calls, from OFFSET on. -C closes the standard descriptors first, -M looks at no memory but
 * what is freed. It writes what it found, a line each, and "walked N logins, N calls" at the
 * end; its status is 1 if a rule was broken, 3 if a login did not end.
 */

#define _GNU_SOURCE
#include "logins.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *folder;
bool looks = true, alone = true;

static FILE *out;
static int every = 1, offset;
static bool failed;
static long walked, called;
static const struct login *current;
static pthread_mutex_t saying = PTHREAD_MUTEX_INITIALIZER; /* guards out and failed */

static const char *const patterns[] = {"once", "in turns", "always"};

void complain(const struct login *l, const char *rule, const struct transaction *t)
{
	pthread_mutex_lock(&saying);
	failed = true;
	fprintf(out, "%s: %s; auth %d acct %d", l->name, rule, t == NULL ? -1 : t->auth, t == NULL ? -1 : t->acct);
	for (int i = 0; i < FAULTS; i++)
		if (run.fault[i].how != NULL)
			fprintf(out, "; call %d, %s, %s %s", run.fault[i].at, name_of(run.fault[i].call),
				run.fault[i].how->name, patterns[run.pattern]);
	fputc('\n', out);
	fflush(out);
	pthread_mutex_unlock(&saying);
}

/* A login that does not end is told of, and the walk is over. */
static void does_not_end(int number)
{
	char line[200];
	int n = snprintf(line, sizeof(line), "%s: does not end; call %d, way %d, pattern %d; call %d, way %d\n", current->name,
			 run.fault[0].at, run.fault[0].way, (int)run.pattern, run.fault[1].at, run.fault[1].way);

	(void)number;
	if (write(fileno(out), line, (size_t)n) < 0)
		_exit(4);
	_exit(3);
}

static void step(const struct login *l)
{
	current = l;
	alarm(60);
	go_through(l, (int)(walked++ % 64));
	called += run.calls;
}

/* The faults at one call, from the first on. Returns false if the login has no such call. */
static bool fail_at(const struct login *l, enum pattern pattern, int at)
{
	for (int way = 0;; way++) {
		run = (struct run){.pattern = pattern, .fault = {{.at = at, .way = way}}};
		step(l);
		if (run.fault[0].call == NO_CALL)
			return false;
		if (run.fault[0].how == NULL)
			return true;
	}
}

static void walk_faults(const struct login *l)
{
	run = (struct run){.pattern = ONCE};
	step(l);
	for (enum pattern p = ONCE; p < PATTERNS; p++)
		for (int at = 1 + offset; fail_at(l, p, at); at += every)
			;
}

/* Two faults in one login. */
static bool fail_twice(const struct login *l, int at, int way, int then)
{
	for (int other = 0;; other++) {
		run = (struct run){.pattern = ONCE, .fault = {{.at = at, .way = way}, {.at = then, .way = other}}};
		step(l);
		if (run.fault[0].how == NULL || run.fault[1].call == NO_CALL)
			return false;
		if (run.fault[1].how == NULL)
			return true;
	}
}

static void walk_pairs(const struct login *l)
{
	for (int at = 1 + offset;; at += every) {
		for (int way = 0;; way++) {
			for (int then = at + 1; fail_twice(l, at, way, then); then++)
				;
			if (run.fault[0].how == NULL)
				break;
		}
		if (run.fault[0].call == NO_CALL)
			return;
	}
}

static void each_login(void (*walk)(const struct login *))
{
	struct sigaction action = {.sa_handler = does_not_end};

	sigaction(SIGALRM, &action, NULL);
	for (int i = 0; i < login_count; i++)
		walk(&logins[i]);
	alarm(0);
}

/* Loads the modules once: a login of this process need not do it, nor end them. */
static void load(void)
{
	static const struct pam_conv nobody;
	static pam_handle_t *pamh; /* for as long as the process lives */

	if (pam_start_confdir("split", "alice", &nobody, folder, &pamh) != PAM_SUCCESS)
		exit(2);
}

static int usage(void)
{
	fprintf(stderr, "usage: walk [-C] [-M] [-e EVERY] [-o OFFSET] faults|pairs|threads|signals|forks FOLDER SOCKET\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode;
	int option;
	bool hide = false;

	while ((option = getopt(argc, argv, "CMe:o:")) != -1) {
		switch (option) {
		case 'C': hide = true; break;
		case 'M': looks = false; break;
		case 'e': every = atoi(optarg); break;
		case 'o': offset = atoi(optarg); break;
		default: return usage();
		}
	}
	if (argc - optind != 3 || every < 1 || offset < 0)
		return usage();
	mode = argv[optind];
	folder = argv[optind + 1];
	out = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10), "w");
	if (out == NULL)
		return usage();
	daemon_start(argv[optind + 2], 8);
	load();
	for (int fd = 0; hide && fd <= STDERR_FILENO; fd++)
		close(fd);

	if (strcmp(mode, "faults") == 0) {
		each_login(walk_faults);
	} else if (strcmp(mode, "pairs") == 0) {
		each_login(walk_pairs);
	} else if (strcmp(mode, "threads") == 0) {
		alone = false;
		walked = walk_threads(8, 12);
	} else if (strcmp(mode, "signals") == 0) {
		looks = false; /* the kernel itself lays the registers on the stack */
		walked = walk_signals();
	} else if (strcmp(mode, "forks") == 0) {
		walked = walk_forks();
	} else {
		return usage();
	}
	fprintf(out, "walked %ld logins, %ld calls\n", walked, called);
	fclose(out);
	return failed;
}
