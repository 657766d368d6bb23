/*
 * The frames of one connection with mfad, which internal/wire lays down. It is private to
 * frame.c and relay.c. What may hold a secret is wiped once it was sent or dropped.
 */

#ifndef FRAME_H
#define FRAME_H

#include "relay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room of a connection for what comes and goes; frames that are longer get memory. */
enum { ROOM = 2048, HEAD = 4 + 1 /* length and type */ };

struct conn {
	int fd;
	int64_t deadline;
	const struct relay_talk *talk;
	struct relay_verdict *v;
	bool heard;      /* at least one byte came from the daemon */
	bool unsent;     /* something said to the daemon did not go out whole */
	bool unanswered; /* a prompt got no answer from the person */

	size_t begin, end;            /* of the bytes in the room that nobody read yet */
	unsigned char in[ROOM + 1];   /* one more for a NUL */
	unsigned char out[ROOM];
};

/* Ends the login. Always false, so that a caller can return it. */
__attribute__((format(printf, 3, 4)))
bool frame_end_login(struct conn *c, enum relay_outcome outcome, const char *why, ...);

/* Writes a number in so many bytes, the greatest first. */
void frame_put_number(unsigned char *to, uint32_t value, int bytes);

/* Memory for a frame with a payload of n bytes, which begins HEAD bytes behind; NULL ends
 * the login. */
unsigned char *frame_begin(struct conn *c, char type, size_t n);

/*
 * Sends a frame that was begun, in one piece if it can, and wipes it. A daemon that is
 * gone may have said its last word before, so a closed connection is not the end yet:
 * true, and the reader finds out.
 */
bool frame_finish(struct conn *c, unsigned char *frame, size_t n);

/* Sends a frame with that payload, as frame_finish does. */
bool frame_send(struct conn *c, char type, const void *payload, size_t n);

/*
 * Reads one frame, with a NUL after its n bytes: into the room if it fits, else into
 * memory of its own. What follows it in the room stays.
 */
bool frame_read(struct conn *c, char **frame, size_t *n);

/* Wipes a frame that was read: a text may hold a secret to enroll. */
void frame_drop(struct conn *c, char *frame, size_t n);

#endif
