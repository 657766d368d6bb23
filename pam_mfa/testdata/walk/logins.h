/* The logins of the walk, and the one way to go through one. */
#ifndef LOGINS_H
#define LOGINS_H

#include "walk.h"

#include <security/pam_appl.h>

/* In the stacks of walk_test.go this code says that the module returned PAM_IGNORE. */
enum { IGNORED = PAM_ACCT_EXPIRED };

struct login {
	const char *name, *service;
	const char *play, *split;  /* what the daemon does with HELLO and SPLIT */
	const char *answers[4];    /* of the person; behind the last the conversation fails */
	const char *info;          /* SSH_AUTH_INFO_0 */
	int attempts, flags;       /* calls of pam_authenticate, 0 is one; its flags */
	int auth, acct;            /* how it ends if nothing fails */
	bool lets_in_absent;       /* unavailable=ignore */
	bool key;                  /* proven=publickey: nobody is asked */
	bool squeeze;              /* waits for the deadline, which comes at once */
};

/* In the place of an answer: there is none. */
extern const char no_text[];

extern const struct login logins[];
extern const int login_count;

/* What main was told. */
extern const char *folder; /* of the configuration */
extern bool looks;         /* at the heap and the stack, too */
extern bool alone;         /* one thread logs in, so the heap is its own */

/* The PAM transaction of a login, and what it answered. */
struct transaction {
	const struct login *login;
	pam_handle_t *pamh;
	const char *const *next; /* answer */
	int auth, acct, calls_in_auth;
};

/* The parts of a login: pam_start, pam_authenticate, pam_acct_mgmt, pam_end. */
void begin(struct transaction *t, const struct login *l, int slot);
void authenticate(struct transaction *t);
void account(struct transaction *t);
void finish(struct transaction *t, int flags);

/* Goes through a login with run as it is prepared, and holds it to the rules. Returns NULL,
 * or the rule that was broken. */
const char *go_through(const struct login *l, int slot);

/* The rules about codes. */
const char *broken_rule(const struct transaction *t);

/* Says where a rule was broken; the program will fail. Any thread may call it. */
void complain(const struct login *l, const char *rule, const struct transaction *t);

/* The ways to go: each returns how many logins it went through. */
long walk_threads(int threads, int rounds);
long walk_signals(void);
long walk_forks(void);

#endif
