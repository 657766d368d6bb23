/*
 * The relay of pam_mfa.so: one connection to mfad, and the conversation on it.
 *
 * Why C. sshd loads its PAM modules in the privileged monitor and then forks
 * for every attempt; a Go runtime does not survive that fork, and sudo, su and
 * login must not gain its threads. So this is libc only, and the PAM calls are
 * in pam_mfa.c alone. Go's tests and fuzz targets drive these same functions.
 *
 * Its promises. A verdict starts as a refusal, and only a well-formed DONE
 * of the daemon makes it another one. Every read is bounded before memory is
 * taken, every wait ends at one deadline. No thread, no signal handler, no
 * environment, no global state, no descriptor left open; what was typed is
 * wiped from every buffer of this code. The frames and their bounds are those of
 * internal/wire.
 */
#ifndef PAM_MFA_RELAY_H
#define PAM_MFA_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "split.h"

#pragma GCC visibility push(hidden)

enum {
	RELAY_VERSION = 1,           /* of the protocol */
	RELAY_MAX_FRAME = 64 << 10,  /* type and payload of one frame, bytes */
	RELAY_MAX_ANSWER = 512,      /* one answer, bytes */
	RELAY_MAX_FIELD = 16 << 10,  /* a field of HELLO that sshd writes, bytes */
	RELAY_MAX_NAME = 256,        /* any other field of HELLO, bytes */
	RELAY_MAX_FRAMES = 64,       /* frames of the daemon in one login, DONE included */
	RELAY_LAST_WORD_MS = 2000,   /* how long DONE is waited for when nobody answered */
	RELAY_CALLS = 4,             /* how often a daemon is called that hangs up without a word */
	RELAY_CALL_AGAIN_MS = 250,   /* the wait in between */
};

/* The fields of HELLO. A field's tag is its place here plus one. */
enum relay_field {
	RELAY_SERVICE,
	RELAY_USER,
	RELAY_RHOST,
	RELAY_TTY,
	RELAY_RUSER,
	RELAY_SSH_AUTH_INFO,
	RELAY_SSH_CONNECTION,
	RELAY_MODULE,
	RELAY_HELD, /* of a login in one line: "answer" or "nothing" */
	RELAY_FIELDS
};

/* What the daemon is told about a login. A field may be NULL. */
struct relay_hello {
	uint32_t flags; /* of pam_authenticate(3) */
	const char *field[RELAY_FIELDS];
};

/*
 * The person at the other end. Texts that are passed have no control bytes but
 * newline and tab.
 */
struct relay_talk {
	void *who; /* handed to say and ask */

	/* Shows text and expects nothing. */
	void (*say)(void *who, bool failure, const char *text);

	/* Shows text and returns the line typed, from malloc(3), which the relay
	 * wipes and frees; or NULL if there is none. It may block for long. */
	char *(*ask)(void *who, bool echo, const char *text);

	/* The first factor's password, or NULL. An answer equal to it stays here. */
	const char *password;

	/* If not NULL, nothing is asked but how a line is cut: SPLIT goes out in the place
	 * of HELLO, and only the outcome RELAY_CUT fills it in. */
	struct split_endings *cut;
};

/* How a login ended. Zero is a refusal. */
enum relay_outcome {
	RELAY_BROKEN,          /* the protocol was broken, or a fault of this machine */
	RELAY_ACCEPTED,        /* the daemon: second factor proven */
	RELAY_EXEMPT,          /* the daemon: none asked for here */
	RELAY_WRONG_CODE,      /* the daemon: wrong code */
	RELAY_EXHAUSTED,       /* the daemon: attempts used up, or locked */
	RELAY_MUST_ENROLL,     /* the daemon: must enroll but may not here */
	RELAY_UNAVAILABLE,     /* the daemon cannot decide, does not answer, or died */
	RELAY_NO_CONVERSATION, /* nobody answered */
	RELAY_NOT_ALLOWED,     /* the daemon: this program may not ask for this user */
	RELAY_CODE_SENT,       /* the daemon: sent one, and the next login carries it */
	RELAY_CUT,             /* the daemon: this is how a line is cut */
	RELAY_ABSENT,          /* nobody listens */
	RELAY_HUNG_UP,         /* the daemon left without a word; relay_run calls again */
};

struct relay_verdict {
	enum relay_outcome outcome;
	bool spoken;          /* the daemon said so itself, in DONE */
	bool untried;         /* locked or at a limit, and no wrong code in this login */
	bool change_password; /* acct_mgmt shall demand one; only with a way in */
	bool password_typed;  /* an answer was the password and was kept back */
	char why[400];        /* for the log, what went wrong here; else empty */
};

/* The moment so many milliseconds from now, on a clock that nobody sets. */
int64_t relay_deadline(int64_t ms);

/* Milliseconds until a deadline, 0 when it has passed. */
int relay_time_left(int64_t deadline);

/* Whether a path is absolute and fits a socket's address. */
bool relay_path_fits(const char *path);

/*
 * Connects to the daemon's socket. The folder it lies in must belong to root
 * (or, when this process is not root, to its own user) and be writable by
 * nobody else. Returns a close-on-exec descriptor above 2, or -1 with the
 * verdict filled in.
 */
int relay_connect(const char *path, int64_t deadline, struct relay_verdict *v);

/* Holds one login's conversation on a connected socket, which stays open. */
void relay_converse(int fd, int64_t deadline, const struct relay_hello *hello,
		    const struct relay_talk *talk, struct relay_verdict *v);

/*
 * Connects, holds the conversation and closes. A daemon that hangs up without a
 * word (it died, or is replaced) is called again, RELAY_CALLS times in all. It is
 * absent only if nobody listens then; if it hangs up each time it is unavailable.
 * So where systemd keeps the socket, a crash of the daemon is never taken for
 * absence, which unavailable=ignore lets in.
 */
void relay_run(const char *path, int seconds, const struct relay_hello *hello,
	       const struct relay_talk *talk, struct relay_verdict *v);

/*
 * Drops control bytes from n bytes of text in place: C0, DEL and the C1
 * controls in their UTF-8 form; newline and tab stay if lines is set. Ends it
 * with a NUL, for which there must be room at text[n], and zeroes what became
 * free. Returns the new length.
 */
size_t relay_clean(char *text, size_t n, bool lines);

#pragma GCC visibility pop

#endif
