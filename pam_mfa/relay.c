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
	ANSWER = 'A',
	NO_ANSWER = 'N',
	PROMPT = 'P',
	INFO = 'I',
	FAILURE = 'E',
	DONE = 'D',

	VISIBLE = 'v',
	HIDDEN = 'h',
	CONV_FAILED = 'c',
	PASSWORD_TYPED = 'p',
	CHANGE_PASSWORD = 1,
	UNTRIED = 2,
};

struct conn {
	int fd;
	int64_t deadline;
	const struct relay_talk *talk;
	struct relay_verdict *v;
	bool heard;      /* at least one byte came from the daemon */
	bool unsent;     /* something said to the daemon did not go out whole */
	bool unanswered; /* a prompt got no answer from the person */
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

/* Reads n bytes. What is there already is read even when the time is up. */
static enum io read_all(struct conn *c, void *to, size_t n)
{
	char *p = to;

	while (n > 0) {
		ssize_t got = recv(c->fd, p, n, MSG_DONTWAIT);

		if (got == 0)
			return IO_CLOSED;
		if (got < 0) {
			enum io next = after_failure(c, POLLIN);

			if (next != IO_OK)
				return next;
			continue;
		}
		c->heard = true;
		p += got;
		n -= (size_t)got;
	}
	return IO_OK;
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

/*
 * Sends one frame. A daemon that is gone may have said its last word before,
 * so a closed connection is not the end yet: true, and the reader finds out.
 */
static bool send_frame(struct conn *c, char type, const void *payload, size_t n)
{
	size_t size = 4 + 1 + n;
	unsigned char *frame = malloc(size);
	enum io sent;

	if (frame == NULL)
		return end(c, RELAY_BROKEN, "out of memory");
	put_number(frame, (uint32_t)(1 + n), 4);
	frame[4] = (unsigned char)type;
	memcpy(frame + 5, payload, n);
	sent = write_all(c, frame, size);
	explicit_bzero(frame, size);
	free(frame);

	if (sent == IO_FAILED)
		return lost(c, sent);
	if (sent == IO_CLOSED)
		c->unsent = true;
	return true;
}

static bool send_hello(struct conn *c, const struct relay_hello *hello)
{
	size_t length[RELAY_FIELDS], n = 2 + 4;
	unsigned char *payload, *p;
	bool sent;

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

	payload = p = malloc(n);
	if (payload == NULL)
		return end(c, RELAY_BROKEN, "out of memory");
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
	sent = send_frame(c, HELLO, payload, n);
	explicit_bzero(payload, n);
	free(payload);
	return sent;
}

/* Reads one frame into memory of its own, with a NUL after its n bytes. */
static bool read_frame(struct conn *c, char **frame, size_t *n)
{
	unsigned char head[4];
	uint32_t length;
	enum io got = read_all(c, head, sizeof(head));

	if (got != IO_OK)
		return lost(c, got);
	length = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (length < 1 || length > RELAY_MAX_FRAME)
		return end(c, RELAY_BROKEN, "mfad sent a frame of %u bytes", (unsigned)length);

	*n = length;
	*frame = calloc(1, length + 1);
	if (*frame == NULL)
		return end(c, RELAY_BROKEN, "out of memory");
	got = read_all(c, *frame, length);
	if (got == IO_OK)
		return true;
	explicit_bzero(*frame, length);
	free(*frame);
	return lost(c, got);
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

/* From now on nothing lets in; the daemon's reason is waited for, not long. */
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

/* sshd gives such bytes, as many as were typed, in place of each answer of somebody
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
	case 'b': outcome = RELAY_BROKEN; break;
	default:
		return end(c, RELAY_BROKEN, "mfad sent the unknown outcome %d", payload[0]);
	}
	if (outcome == RELAY_ACCEPTED || outcome == RELAY_EXEMPT) {
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

/* Acts on one frame. False: the login is decided. */
static bool act(struct conn *c, char *frame, size_t n)
{
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

void relay_converse(int fd, int64_t deadline, const struct relay_hello *hello,
		    const struct relay_talk *talk, struct relay_verdict *v)
{
	struct conn c = {.fd = fd, .deadline = deadline, .talk = talk, .v = v};

	*v = (struct relay_verdict){.outcome = RELAY_BROKEN};
	if (!send_hello(&c, hello))
		return;
	for (int i = 0; i < RELAY_MAX_FRAMES; i++) {
		char *frame = NULL;
		size_t n = 0;
		bool more;

		if (!read_frame(&c, &frame, &n))
			return;
		more = act(&c, frame, n);
		explicit_bzero(frame, n); /* a text may hold a secret to enroll */
		free(frame);
		if (!more)
			return;
	}
	end(&c, RELAY_BROKEN, "mfad sent %d frames and no outcome", RELAY_MAX_FRAMES);
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
