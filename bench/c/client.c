/*
 * Logs in through libpam, as often as it is told to, and says how long each login took.
 * It costs every candidate the same. Commands, one a line on standard input:
 *
 *	login SERVICE USER RHOST ANSWER
 *	synced SERVICE USER RHOST ANSWER	and one synced overwrite of a block
 *	crowd P N, and N lines SERVICE USER RHOST ANSWER: P processes share them
 *	wait SERVICE USER RHOST			one login whose answer is the next line
 *
 * For each login it writes a line: nanoseconds, nanoseconds of processor, nanoseconds to
 * the first prompt (0: there was none), PAM's code. A crowd ends with a line: the
 * nanoseconds of all of it. "wait" says "prompt NANOSECONDS" before it reads the answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORD = 300, BLOCK = 4096, MOST_PROMPTS = 5 };

struct job { char service[WORD], user[WORD], rhost[WORD], answer[WORD]; };
struct result { long long wall, cpu, prompt; int code; };

struct talk {
	const char *answer; /* NULL: read it when the prompt comes */
	long long start, prompt;
	int prompts;
};

static int block_fd = -1;
static char *block;

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* late_answer says that the prompt is there, and returns the next line. */
static char *late_answer(long long prompt)
{
	char word[WORD];

	printf("prompt %lld\n", prompt);
	fflush(stdout);
	return scanf("%299s", word) == 1 ? strdup(word) : NULL;
}

static int converse(int n, const struct pam_message **msg, struct pam_response **out, void *data)
{
	struct talk *t = data;
	struct pam_response *r = calloc(n, sizeof(*r));

	if (r == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++) {
		if (msg[i]->msg_style != PAM_PROMPT_ECHO_ON && msg[i]->msg_style != PAM_PROMPT_ECHO_OFF)
			continue;
		if (t->prompt == 0)
			t->prompt = now(CLOCK_MONOTONIC) - t->start;
		if (++t->prompts > MOST_PROMPTS || (r[i].resp = t->answer ? strdup(t->answer) : late_answer(t->prompt)) == NULL) {
			free(r); /* the few answers before it are not worth a loop */
			return PAM_CONV_ERR;
		}
	}
	*out = r;
	return PAM_SUCCESS;
}

/* no_delay takes the place of the pause after a failure: who guesses does not wait. */
static void no_delay(int status, unsigned usec, void *data)
{
	(void)status, (void)usec, (void)data;
}

static struct result log_in(const struct job *j, const char *answer, int synced)
{
	struct result r = {0};
	struct talk t = {.answer = answer};
	struct pam_conv conv = {converse, &t};
	pam_handle_t *h = NULL;
	long long cpu = now(CLOCK_PROCESS_CPUTIME_ID);

	t.start = now(CLOCK_MONOTONIC);
	r.code = pam_start(j->service, j->user, &conv, &h);
	if (r.code == PAM_SUCCESS) {
		pam_set_item(h, PAM_RHOST, j->rhost);
		pam_set_item(h, PAM_FAIL_DELAY, (void *)no_delay);
		r.code = pam_authenticate(h, 0);
		pam_end(h, r.code);
	}
	if (synced && pwrite(block_fd, block, BLOCK, 0) != BLOCK)
		fail("write the block");
	r.wall = now(CLOCK_MONOTONIC) - t.start;
	r.cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	r.prompt = t.prompt;
	return r;
}

static void print(const struct result *r)
{
	printf("%lld %lld %lld %d\n", r->wall, r->cpu, r->prompt, r->code);
}

static void read_job(struct job *j)
{
	if (scanf("%299s %299s %299s %299s", j->service, j->user, j->rhost, j->answer) != 4) {
		fprintf(stderr, "client: a login wants SERVICE USER RHOST ANSWER\n");
		exit(1);
	}
}

/* crowd forks the processes, lets them go at once and waits for all. */
static void crowd(int processes, int n)
{
	struct job *jobs = calloc(n, sizeof(*jobs));
	struct result *results = mmap(NULL, n * sizeof(*results) + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int gate[2];
	char c;

	if (jobs == NULL || results == MAP_FAILED || pipe(gate) != 0)
		fail("make room for a crowd");
	for (int i = 0; i < n; i++)
		read_job(&jobs[i]);
	for (int p = 0; p < processes; p++) {
		pid_t pid = fork();
		if (pid < 0)
			fail("fork");
		if (pid > 0)
			continue;
		close(gate[1]);
		if (read(gate[0], &c, 1) != 0) /* ends when the gate opens */
			_exit(1);
		for (int i = p; i < n; i += processes)
			results[i] = log_in(&jobs[i], jobs[i].answer, 0);
		_exit(0);
	}
	usleep(50000); /* all of them stand at the gate */
	long long start = now(CLOCK_MONOTONIC);
	close(gate[0]);
	close(gate[1]);
	while (wait(NULL) > 0)
		;
	long long wall = now(CLOCK_MONOTONIC) - start;
	for (int i = 0; i < n; i++)
		print(&results[i]);
	printf("%lld\n", wall);
	free(jobs);
	munmap(results, n * sizeof(*results) + 1);
}

int main(int argc, char **argv)
{
	char word[WORD];
	struct job j;

	if (argc > 1) {
		block_fd = open(argv[1], O_WRONLY | O_DSYNC);
		if (block_fd < 0 || posix_memalign((void **)&block, BLOCK, BLOCK) != 0)
			fail("open the block");
		memset(block, 'b', BLOCK);
	}
	while (scanf("%299s", word) == 1) {
		int processes, n;
		struct result r;

		if (strcmp(word, "crowd") == 0 && scanf("%d %d", &processes, &n) == 2) {
			crowd(processes, n);
		} else if (strcmp(word, "wait") == 0 && scanf("%299s %299s %299s", j.service, j.user, j.rhost) == 3) {
			r = log_in(&j, NULL, 0);
			print(&r);
		} else {
			read_job(&j);
			r = log_in(&j, j.answer, strcmp(word, "synced") == 0);
			print(&r);
		}
		fflush(stdout);
	}
	return 0;
}
