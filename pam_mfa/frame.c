/* The bytes and the frames of one connection with mfad. */

#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool frame_end_login(struct conn *c, enum relay_outcome outcome, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	vsnprintf(c->v->why, sizeof(c->v->why), why, args);
	va_end(args);
	c->v->outcome = outcome;
	return false;
}

/* The bytes of a connection. */

enum io {
	IO_OK,
	IO_CLOSED, /* the daemon is gone */
	IO_FAILED, /* errno says why; ETIMEDOUT: the deadline passed */
};

static enum io wait_for(struct conn *c, short events)
{
	struct pollfd p = {.fd = c->fd, .events = events};

	for (;;) {
		int left = relay_time_left(c->deadline);
		int n = poll(&p, 1, left);

		if (n > 0)
			return IO_OK;
		if (n < 0 && errno != EINTR)
			return IO_FAILED;
		if (left == 0) {
			errno = ETIMEDOUT;
			return IO_FAILED;
		}
	}
}

/* What recv(2) or send(2) failing means: wait and try again, or give up. */
static enum io after_failure(struct conn *c, short events)
{
	switch (errno) {
	case EINTR:
	case EAGAIN:
		if (relay_time_left(c->deadline) > 0)
			return wait_for(c, events);
		errno = ETIMEDOUT;
		return IO_FAILED;
	case ECONNRESET:
	case EPIPE:
		return IO_CLOSED;
	default:
		return IO_FAILED;
	}
}

/* Reads what is there, at most n bytes; it waits for the first. What is there already is
 * read even when the time is up. */
static enum io read_some(struct conn *c, void *to, size_t n, size_t *got)
{
	for (;;) {
		enum io next = wait_for(c, POLLIN);
		ssize_t some;

		if (next != IO_OK)
			return next;
		some = recv(c->fd, to, n, MSG_DONTWAIT);
		if (some == 0)
			return IO_CLOSED;
		if (some > 0) {
			c->heard = true;
			*got = (size_t)some;
			return IO_OK;
		}
		next = after_failure(c, POLLIN);
		if (next != IO_OK)
			return next;
	}
}

/* Reads until there are n unread bytes in the room. */
static enum io read_into_room(struct conn *c, size_t n)
{
	while (c->end - c->begin < n) {
		size_t got;
		enum io next = read_some(c, c->in + c->end, ROOM - c->end, &got);

		if (next != IO_OK)
			return next;
		c->end += got;
	}
	return IO_OK;
}

/* Reads n bytes, the first of them from the room. */
static enum io read_all(struct conn *c, char *to, size_t n)
{
	size_t have = c->end - c->begin;

	if (have > n)
		have = n;
	memcpy(to, c->in + c->begin, have);
	c->begin += have;
	while (have < n) {
		size_t got;
		enum io next = read_some(c, to + have, n - have, &got);

		if (next != IO_OK)
			return next;
		have += got;
	}
	return IO_OK;
}

/* Moves the unread bytes to the beginning of the room, and wipes the rest. */
static void tidy_room(struct conn *c)
{
	size_t have = c->end - c->begin;

	memmove(c->in, c->in + c->begin, have);
	explicit_bzero(c->in + have, sizeof(c->in) - have);
	c->begin = 0;
	c->end = have;
}

static enum io write_all(struct conn *c, const void *from, size_t n)
{
	const char *p = from;

	while (n > 0) {
		ssize_t put = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0) {
			enum io next = after_failure(c, POLLOUT);

			if (next != IO_OK)
				return next;
			continue;
		}
		p += put;
		n -= (size_t)put;
	}
	return IO_OK;
}

/* Ends a login whose connection is of no more use. */
static bool lost(struct conn *c, enum io how)
{
	const char *what = how == IO_CLOSED     ? "mfad closed the connection"
			   : errno == ETIMEDOUT ? "mfad did not answer in time"
						: strerror(errno);

	if (c->unanswered)
		return frame_end_login(c, RELAY_NO_CONVERSATION, "nobody answered the prompt, and %s", what);
	if (how == IO_CLOSED && !c->heard)
		return frame_end_login(c, RELAY_HUNG_UP, "%s without a word", what);
	return frame_end_login(c, RELAY_UNAVAILABLE, "%s", what);
}

void frame_put_number(unsigned char *to, uint32_t value, int bytes)
{
	while (bytes-- > 0) {
		to[bytes] = (unsigned char)value;
		value >>= 8;
	}
}

unsigned char *frame_begin(struct conn *c, char type, size_t n)
{
	unsigned char *frame = HEAD + n <= ROOM ? c->out : malloc(HEAD + n);

	if (frame == NULL) {
		frame_end_login(c, RELAY_BROKEN, "out of memory");
		return NULL;
	}
	frame_put_number(frame, (uint32_t)(1 + n), 4);
	frame[4] = (unsigned char)type;
	return frame;
}

bool frame_finish(struct conn *c, unsigned char *frame, size_t n)
{
	enum io sent = write_all(c, frame, HEAD + n);
	int why = errno;

	explicit_bzero(frame, HEAD + n);
	if (frame != c->out)
		free(frame);
	errno = why;

	if (sent == IO_FAILED)
		return lost(c, sent);
	if (sent == IO_CLOSED)
		c->unsent = true;
	return true;
}

bool frame_send(struct conn *c, char type, const void *payload, size_t n)
{
	unsigned char *frame = frame_begin(c, type, n);

	if (frame == NULL)
		return false;
	memcpy(frame + HEAD, payload, n);
	return frame_finish(c, frame, n);
}

bool frame_read(struct conn *c, char **frame, size_t *n)
{
	const unsigned char *head;
	uint32_t length;
	enum io got;

	tidy_room(c);
	got = read_into_room(c, 4);
	if (got != IO_OK)
		return lost(c, got);
	head = c->in;
	length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (length < 1 || length > RELAY_MAX_FRAME)
		return frame_end_login(c, RELAY_BROKEN, "mfad sent a frame of %u bytes", (unsigned)length);

	*n = length;
	if (4 + length <= ROOM) {
		got = read_into_room(c, 4 + length);
		if (got != IO_OK)
			return lost(c, got);
		memmove(c->in, c->in + 4, length); /* frees four bytes behind it, one for the NUL */
		c->in[length] = '\0';
		c->begin = 4 + length;
		*frame = (char *)c->in;
		return true;
	}
	*frame = calloc(1, length + 1);
	if (*frame == NULL)
		return frame_end_login(c, RELAY_BROKEN, "out of memory");
	c->begin = 4;
	got = read_all(c, *frame, length);
	if (got == IO_OK)
		return true;
	explicit_bzero(*frame, length);
	free(*frame);
	return lost(c, got);
}

void frame_drop(struct conn *c, char *frame, size_t n)
{
	explicit_bzero(frame, n);
	if (frame != (char *)c->in)
		free(frame);
}
