/*
 * The walk: logins in which each call of the module fails, one after the other.
 *
 * The module is linked with --wrap (walk_test.go has the list), so that its calls of libc
 * and libpam, and nobody else's, come here: faults.c counts them, lets them fail, and keeps
 * an account of what the module holds. daemon.c is an mfad of threads in this process. It
 * judges answers itself, so that what it said is known when a login is over. walk.c has
 * the logins and the rules that each must keep.
 */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calls that may fail. */
enum call {
	NO_CALL,
	MEMORY, CLOCK, STAT, SOCKET, FCNTL, SETSOCKOPT, CONNECT, POLL, RECV, SEND, CLOSE,
	GET_USER, GET_ITEM, GETENV, PROMPT, GET_AUTHTOK, SET_ITEM, SET_DATA, GET_DATA,
	CALLS
};

/* How a call fails, where it is not by an errno or a PAM code. */
enum {
	SHORT = -1,    /* carries one byte */
	END = -2,      /* as if the other end had closed */
	NOTHING = -3,  /* succeeds, and gives NULL */
	ANSWERED = -4, /* fails, and gives a line all the same */
};

struct way {
	const char *name;
	int error;     /* errno, a PAM code, or one of the above */
	bool harmless; /* a login that meets it once must end as if it had not */
	bool absent;   /* says that nobody listens: unavailable=ignore may let in */
};

/* When a call fails. */
enum pattern {
	ONCE,
	TURNS,  /* it, and from then on each second call of that kind */
	ALWAYS, /* it, and from then on each call of that kind */
	PATTERNS
};

enum { FAULTS = 2, HELD = 128 };

/* One login of one thread. */
struct run {
	bool armed;
	int slot; /* under which the daemon notes what it said; it is PAM_RUSER */

	enum pattern pattern;
	struct {
		int at, way;             /* the call that fails, counted from 1, and how */
		enum call call;          /* which one it was; NO_CALL: the login had fewer */
		const struct way *how;   /* NULL: there is no such way, and it did not fail */
	} fault[FAULTS];
	int calls;
	bool turn;
	bool unlike; /* met a fault that may change how it ends */
	bool absent; /* met one that says that nobody listens */

	bool squeeze;       /* time passes at once while the daemon is silent */
	int64_t skipped_ms; /* time that passed so */
	int interrupted;    /* waits that a signal ended */

	struct { void *at; size_t size; } held[HELD]; /* memory of the module */
	int sockets;                                  /* that it has open */
	const char *fault_found;                      /* a rule that it broke, or NULL */
};

extern _Thread_local struct run run;

/* Texts that must not stay anywhere, NULL at the end. */
extern const char *const secrets[];

/* Whether the last half of a secret is in memory. An allocator overwrites the first bytes. */
bool has_secret(const void *memory, size_t n);

int ways_of(enum call call);
const char *name_of(enum call call);

/* What the daemon said last in a slot: the letter of DONE, 0 for nothing; and whether it
 * demanded a new password. */
int said(int slot, bool *change);
void said_nothing(int slot);

/* Whether the daemon will say no more in this slot. */
bool is_silent(int slot);

/* Starts the daemon on a socket, with so many threads. */
void daemon_start(const char *path, int threads);

/* What the daemon does with HELLO and with SPLIT, found by PAM_TTY; NULL: refuse. */
const char *play_of(const char *tty, bool split);

#define CODE "3141592653589793238462643383279502884197"
#define SECOND_CODE "2718281828459045235360287471352662497757"
#define WRONG_CODE "1414213562373095048801688724209698078569"
#define PASSWORD "correct-horse-battery-staple"

#endif
