/* One conversation with mfad: frames in, frames out, and what they mean. */

#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Frame types and their second bytes, as in internal/wire. */
enum {
	HELLO = 'H',
	SPLIT = 'S',
	ANSWER = 'A',
	NO_ANSWER = 'N',
	PROMPT = 'P',
	INFO = 'I',
	FAILURE = 'E',
	DONE = 'D',
	CUT = 'C',

	VISIBLE = 'v',
	HIDDEN = 'h',
	CONV_FAILED = 'c',
	PASSWORD_TYPED = 'p',
	CHANGE_PASSWORD = 1,
	UNTRIED = 2,
};

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
static bool end(struct conn *c, enum relay_outcome outcome, const char *why, ...)
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

/* What recv(2) or send(2) failing means: wait, try again, or give up. */
static enum io after_failure(struct conn *c, short events)
{
	switch (errno) {
	case EINTR:
		return IO_OK;
	case EAGAIN:
		return wait_for(c, events);
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
		return end(c, RELAY_NO_CONVERSATION, "nobody answered the prompt, and %s", what);
	if (how == IO_CLOSED && !c->heard)
		return end(c, RELAY_HUNG_UP, "%s without a word", what);
	return end(c, RELAY_UNAVAILABLE, "%s", what);
}

static void put_number(unsigned char *to, uint32_t value, int bytes)
{
	while (bytes-- > 0) {
		to[bytes] = (unsigned char)value;
		value >>= 8;
	}
}

/* Memory for a frame with a payload of n bytes: room if it fits, else of its own. */
static unsigned char *begin_frame(struct conn *c, char type, size_t n)
{
	unsigned char *frame = HEAD + n <= ROOM ? c->out : malloc(HEAD + n);

	if (frame == NULL) {
		end(c, RELAY_BROKEN, "out of memory");
		return NULL;
	}
	put_number(frame, (uint32_t)(1 + n), 4);
	frame[4] = (unsigned char)type;
	return frame;
}

/*
 * Sends a frame that was begun, in one piece if it can, and wipes it. A daemon that is
 * gone may have said its last word before, so a closed connection is not the end yet:
 * true, and the reader finds out.
 */
static bool end_frame(struct conn *c, unsigned char *frame, size_t n)
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

static bool send_frame(struct conn *c, char type, const void *payload, size_t n)
{
	unsigned char *frame = begin_frame(c, type, n);

	if (frame == NULL)
		return false;
	memcpy(frame + HEAD, payload, n);
	return end_frame(c, frame, n);
}

static bool send_hello(struct conn *c, const struct relay_hello *hello)
{
	size_t length[RELAY_FIELDS], n = 2 + 4;
	unsigned char *frame, *p;

	for (int i = 0; i < RELAY_FIELDS; i++) {
		bool by_sshd = i == RELAY_SSH_AUTH_INFO || i == RELAY_SSH_CONNECTION;
		int most = by_sshd ? RELAY_MAX_FIELD : RELAY_MAX_NAME;

		length[i] = hello->field[i] == NULL ? 0 : strlen(hello->field[i]);
		if (length[i] > (size_t)most)
			return end(c, RELAY_BROKEN, "field %d of this login has %zu bytes, more than %d",
				   i + 1, length[i], most);
		if (length[i] > 0)
			n += 3 + length[i];
	}

	frame = begin_frame(c, c->talk->cut == NULL ? HELLO : SPLIT, n);
	if (frame == NULL)
		return false;
	p = frame + HEAD;
	put_number(p, RELAY_VERSION, 2);
	put_number(p + 2, hello->flags, 4);
	p += 6;
	for (int i = 0; i < RELAY_FIELDS; i++) {
		if (length[i] == 0)
			continue;
		p[0] = (unsigned char)(i + 1);
		put_number(p + 1, (uint32_t)length[i], 2);
		memcpy(p + 3, hello->field[i], length[i]);
		p += 3 + length[i];
	}
	return end_frame(c, frame, n);
}

/*
 * Reads one frame, with a NUL after its n bytes: into the room if it fits, else into
 * memory of its own. What follows it in the room stays.
 */
static bool read_frame(struct conn *c, char **frame, size_t *n)
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
		return end(c, RELAY_BROKEN, "mfad sent a frame of %u bytes", (unsigned)length);

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
		return end(c, RELAY_BROKEN, "out of memory");
	c->begin = 4;
	got = read_all(c, *frame, length);
	if (got == IO_OK)
		return true;
	explicit_bzero(*frame, length);
	free(*frame);
	return lost(c, got);
}

/* Wipes a frame: a text may hold a secret to enroll. */
static void drop_frame(struct conn *c, char *frame, size_t n)
{
	explicit_bzero(frame, n);
	if (frame != (char *)c->in)
		free(frame);
}

/* The meaning of the frames. */

size_t relay_clean(char *text, size_t n, bool lines)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char b = (unsigned char)text[i];

		if (b < 0x20 && !(lines && (b == '\n' || b == '\t')))
			continue;
		if (b == 0x7f)
			continue;
		/* U+0080 to U+009F. Looking at what was kept, not at what came: a
		 * byte dropped in between must not join two halves. */
		if (b >= 0x80 && b <= 0x9f && kept > 0 && (unsigned char)text[kept - 1] == 0xc2) {
			kept--;
			continue;
		}
		text[kept++] = (char)b;
	}
	explicit_bzero(text + kept, n - kept + 1);
	return kept;
}

/* From now on DONE cannot let in. The daemon gets RELAY_LAST_WORD_MS to send it. */
static void nobody_answered(struct conn *c)
{
	int64_t last = relay_deadline(RELAY_LAST_WORD_MS);

	c->unanswered = true;
	if (last < c->deadline)
		c->deadline = last;
}

static bool send_no_answer(struct conn *c, char why)
{
	return send_frame(c, NO_ANSWER, &why, 1);
}

static bool is_password(const struct conn *c, const char *line)
{
	const char *password = c->talk->password;

	return password != NULL && *password != '\0' && strcmp(line, password) == 0;
}

/* sshd gives such bytes, as many as were typed, in place of each answer of a user
 * whom it will not let in (fake_password in its auth-pam.c). mfad knows them. */
static bool is_withheld(const char *line)
{
	static const char junk[] = "\b\n\r\177INCORRECT";
	size_t n = 0;

	while (line[n] != '\0' && line[n] == junk[n % (sizeof(junk) - 1)])
		n++;
	return n > 0 && line[n] == '\0';
}

/* Sends what was typed, or why it is not sent. */
static bool send_line(struct conn *c, char *line)
{
	size_t n;
	bool password;

	if (line == NULL) {
		nobody_answered(c);
		return send_no_answer(c, CONV_FAILED);
	}
	if (is_withheld(line) && strlen(line) <= RELAY_MAX_ANSWER)
		return send_frame(c, ANSWER, line, strlen(line));
	password = is_password(c, line);
	n = relay_clean(line, strlen(line), false);
	if (password || is_password(c, line)) {
		c->v->password_typed = true;
		return send_no_answer(c, PASSWORD_TYPED);
	}
	if (n > RELAY_MAX_ANSWER) {
		nobody_answered(c);
		return send_no_answer(c, CONV_FAILED);
	}
	return send_frame(c, ANSWER, line, n);
}

static bool prompt(struct conn *c, bool echo, const char *text)
{
	char *line;
	size_t size;
	bool more = true;

	if (c->unanswered)
		return send_no_answer(c, CONV_FAILED);
	line = c->talk->ask(c->talk->who, echo, text);
	size = line == NULL ? 0 : strlen(line);
	/* A late answer is not sent: it could be spent on a login that is over. */
	if (relay_time_left(c->deadline) == 0)
		nobody_answered(c);
	else
		more = send_line(c, line);
	if (line != NULL)
		explicit_bzero(line, size);
	free(line);
	return more;
}

static bool done(struct conn *c, const char *payload, size_t n)
{
	enum relay_outcome outcome;

	if (n != 2)
		return end(c, RELAY_BROKEN, "mfad sent an outcome of %zu bytes", n);
	switch (payload[0]) {
	case 's': outcome = RELAY_ACCEPTED; break;
	case 'x': outcome = RELAY_EXEMPT; break;
	case 'w': outcome = RELAY_WRONG_CODE; break;
	case 'm': outcome = RELAY_EXHAUSTED; break;
	case 'e': outcome = RELAY_MUST_ENROLL; break;
	case 'u': outcome = RELAY_UNAVAILABLE; break;
	case 'c': outcome = RELAY_NO_CONVERSATION; break;
	case 'p': outcome = RELAY_NOT_ALLOWED; break;
	case 'n': outcome = RELAY_CODE_SENT; break;
	case 'b': outcome = RELAY_BROKEN; break;
	default:
		return end(c, RELAY_BROKEN, "mfad sent the unknown outcome %d", payload[0]);
	}
	if (outcome == RELAY_ACCEPTED || outcome == RELAY_EXEMPT) {
		if (c->talk->cut != NULL)
			return end(c, RELAY_BROKEN, "mfad lets in whom it was not asked about");
		if (c->unanswered)
			return end(c, RELAY_NO_CONVERSATION, "mfad lets in, but nobody answered its prompt");
		if (c->unsent)
			return end(c, RELAY_BROKEN, "mfad lets in, but it did not hear everything");
		c->v->change_password = (payload[1] & CHANGE_PASSWORD) != 0;
	}
	c->v->untried = outcome == RELAY_EXHAUSTED && (payload[1] & UNTRIED) != 0;
	c->v->spoken = true;
	c->v->outcome = outcome;
	return false;
}

/* Takes in how a line is cut. */
static bool take_cut(struct conn *c, const char *payload, size_t n)
{
	struct split_endings *cut = c->talk->cut;

	if (n > sizeof(cut->bytes))
		return end(c, RELAY_BROKEN, "mfad sent %zu bytes of endings", n);
	memcpy(cut->bytes, payload, n);
	cut->size = n;
	return end(c, RELAY_CUT, "%s", "");
}

/* Acts on one frame. False: the login is decided. */
static bool act(struct conn *c, char *frame, size_t n)
{
	if (c->talk->cut != NULL && frame[0] == CUT)
		return take_cut(c, frame + 1, n - 1);
	if (c->talk->cut != NULL && frame[0] != DONE)
		return end(c, RELAY_BROKEN, "mfad sent a frame of the type %d in place of how a line is cut", frame[0]);
	switch (frame[0]) {
	case DONE:
		return done(c, frame + 1, n - 1);
	case INFO:
	case FAILURE:
		relay_clean(frame + 1, n - 1, true);
		c->talk->say(c->talk->who, frame[0] == FAILURE, frame + 1);
		return true;
	case PROMPT:
		if (n < 2 || (frame[1] != VISIBLE && frame[1] != HIDDEN))
			return end(c, RELAY_BROKEN, "mfad sent a malformed prompt");
		relay_clean(frame + 2, n - 2, true);
		return prompt(c, frame[1] == VISIBLE, frame + 2);
	default:
		return end(c, RELAY_BROKEN, "mfad sent a frame of the unknown type %d", frame[0]);
	}
}

/* Reads frames and acts on them, until the login is decided. */
static void obey(struct conn *c)
{
	for (int i = 0; i < RELAY_MAX_FRAMES; i++) {
		char *frame = NULL;
		size_t n = 0;
		bool more;

		if (!read_frame(c, &frame, &n))
			return;
		more = act(c, frame, n);
		drop_frame(c, frame, n);
		if (!more)
			return;
	}
	end(c, RELAY_BROKEN, "mfad sent %d frames and no outcome", RELAY_MAX_FRAMES);
}

void relay_converse(int fd, int64_t deadline, const struct relay_hello *hello,
		    const struct relay_talk *talk, struct relay_verdict *v)
{
	struct conn c;

	/* The buffers are not cleared: they are written before they are read. */
	c.fd = fd, c.deadline = deadline, c.talk = talk, c.v = v;
	c.heard = c.unsent = c.unanswered = false;
	c.begin = c.end = 0;

	*v = (struct relay_verdict){.outcome = RELAY_BROKEN};
	if (send_hello(&c, hello))
		obey(&c);
	explicit_bzero(c.in, sizeof(c.in));
}

void relay_run(const char *path, int seconds, const struct relay_hello *hello,
	       const struct relay_talk *talk, struct relay_verdict *v)
{
	int64_t deadline = relay_deadline((int64_t)seconds * 1000);
	int fd;

	*v = (struct relay_verdict){.outcome = RELAY_BROKEN};
	for (int calls = 0; calls < RELAY_CALLS; calls++) {
		if (calls > 0)
			poll(NULL, 0, RELAY_CALL_AGAIN_MS);
		fd = relay_connect(path, deadline, v);
		if (fd < 0)
			return;
		relay_converse(fd, deadline, hello, talk, v);
		close(fd);
		if (v->outcome != RELAY_HUNG_UP)
			return;
	}
	v->outcome = RELAY_UNAVAILABLE;
}
