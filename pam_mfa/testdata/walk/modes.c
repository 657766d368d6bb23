/* Logins of many threads at once, under signals, and over a fork. */

#define _GNU_SOURCE
#include "logins.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Each thread has eight slots of its own. */
struct worker {
	pthread_t thread;
	int number, rounds;
	long logins;
};

static void *log_in(void *data)
{
	struct worker *w = data;

	for (int round = 0; round < w->rounds; round++)
		for (int i = 0; i < login_count; i++) {
			run = (struct run){.pattern = ONCE};
			if (round > 0) { /* everybody fails, each elsewhere */
				run.fault[0].at = 1 + (7 * (round + i) + 5 * w->number) % 60;
				run.fault[0].way = (round + w->number) % 3;
			}
			go_through(&logins[i], w->number * 8 + (int)(w->logins % 8));
			w->logins++;
		}
	return NULL;
}

long walk_threads(int threads, int rounds)
{
	struct worker workers[8];
	long all = 0;

	for (int i = 0; i < threads; i++) {
		workers[i] = (struct worker){.number = i, .rounds = rounds};
		if (pthread_create(&workers[i].thread, NULL, log_in, &workers[i]) != 0)
			exit(2);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		all += workers[i].logins;
	}
	return all;
}

static atomic_bool over;
static volatile sig_atomic_t caught;

static void catch(int number)
{
	(void)number;
	caught = 1;
}

/* Sends a thread one signal after the other. */
static void *pester(void *data)
{
	const struct timespec pause = {.tv_nsec = 300000};

	for (int i = 0; !atomic_load(&over); i++) {
		pthread_kill(*(pthread_t *)data, i % 2 == 0 ? SIGALRM : SIGCHLD);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* No time is skipped here: "quick" has timeout=1, and the clock is the true one. */
long walk_signals(void)
{
	static const struct login hangs = {.name = "hangs", .service = "quick", .play = ".", .auth = PAM_AUTHINFO_UNAVAIL, .acct = IGNORED};
	struct sigaction action = {.sa_handler = catch}; /* no SA_RESTART */
	pthread_t me = pthread_self(), pest;
	int interrupted = 0, n = 0;

	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	if (pthread_create(&pest, NULL, pester, &me) != 0)
		exit(2);
	run = (struct run){.pattern = ONCE};
	go_through(&hangs, n++ % 64);
	interrupted = run.interrupted;
	for (int round = 0; round < 5; round++)
		for (int i = 0; i < login_count; i++) {
			run = (struct run){.pattern = ONCE};
			go_through(&logins[i], n++ % 64);
		}
	atomic_store(&over, true);
	pthread_join(pest, NULL);
	if (interrupted < 10 || !caught)
		complain(&hangs, "no signal interrupted a wait", NULL);
	return n;
}

/* Where a login forks, and who goes on. */
enum where { AFTER_START, AFTER_AUTHENTICATE, EACH_ATTEMPT, WHERES };

/* Runs the rest of a login in a child, as sshd does; false if it broke a rule. */
static bool in_child(struct transaction *t, enum where where)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		const char *rule;

		if (where != AFTER_AUTHENTICATE)
			authenticate(t);
		account(t);
		finish(t, where == AFTER_AUTHENTICATE ? PAM_DATA_SILENT : 0);
		rule = broken_rule(t);
		if (rule != NULL)
			complain(t->login, rule, t);
		fflush(NULL);
		_exit(rule != NULL);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void fork_in(const struct login *l, enum where where, int slot)
{
	struct transaction t;

	run = (struct run){.pattern = ONCE};
	begin(&t, l, slot);
	run.armed = true;
	if (where == AFTER_AUTHENTICATE)
		authenticate(&t);
	for (int child = 0; child < (where == EACH_ATTEMPT ? 3 : 1); child++)
		if (!in_child(&t, where))
			complain(l, "went wrong in a child", &t);
	if (where == AFTER_AUTHENTICATE) { /* and here, where it began */
		account(&t);
		if (broken_rule(&t) != NULL && strcmp(broken_rule(&t), "memory is not freed") != 0)
			complain(l, broken_rule(&t), &t);
	}
	finish(&t, 0);
	run.armed = false;
	for (int i = 0; i < HELD; i++)
		if (run.held[i].at != NULL)
			complain(l, "memory is not freed where it forked", &t);
}

long walk_forks(void)
{
	long n = 0;

	for (int i = 0; i < login_count; i++)
		for (enum where where = AFTER_START; where < WHERES; where++)
			fork_in(&logins[i], where, (int)(n++ % 64));
	return n;
}
