/* One conversation with mfad: what is said, what is heard, and what it means. */

#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static bool send_hello(struct conn *c, const struct relay_hello *hello)
{
	size_t length[RELAY_FIELDS], n = 2 + 4;
	unsigned char *frame, *p;

	for (int i = 0; i < RELAY_FIELDS; i++) {
		bool by_sshd = i == RELAY_SSH_AUTH_INFO || i == RELAY_SSH_CONNECTION;
		int most = by_sshd ? RELAY_MAX_FIELD : RELAY_MAX_NAME;

		length[i] = hello->field[i] == NULL ? 0 : strlen(hello->field[i]);
		if (length[i] > (size_t)most)
			return frame_end_login(c, RELAY_BROKEN, "field %d of this login has %zu bytes, more than %d",
				   i + 1, length[i], most);
		if (length[i] > 0)
			n += 3 + length[i];
	}

	frame = frame_begin(c, c->talk->cut == NULL ? HELLO : SPLIT, n);
	if (frame == NULL)
		return false;
	p = frame + HEAD;
	frame_put_number(p, RELAY_VERSION, 2);
	frame_put_number(p + 2, hello->flags, 4);
	p += 6;
	for (int i = 0; i < RELAY_FIELDS; i++) {
		if (length[i] == 0)
			continue;
		p[0] = (unsigned char)(i + 1);
		frame_put_number(p + 1, (uint32_t)length[i], 2);
		memcpy(p + 3, hello->field[i], length[i]);
		p += 3 + length[i];
	}
	return frame_finish(c, frame, n);
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
	return frame_send(c, NO_ANSWER, &why, 1);
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
		return frame_send(c, ANSWER, line, strlen(line));
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
	return frame_send(c, ANSWER, line, n);
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
		return frame_end_login(c, RELAY_BROKEN, "mfad sent an outcome of %zu bytes", n);
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
		return frame_end_login(c, RELAY_BROKEN, "mfad sent the unknown outcome %d", payload[0]);
	}
	if (outcome == RELAY_ACCEPTED || outcome == RELAY_EXEMPT) {
		if (c->talk->cut != NULL)
			return frame_end_login(c, RELAY_BROKEN, "mfad lets in whom it was not asked about");
		if (c->unanswered)
			return frame_end_login(c, RELAY_NO_CONVERSATION, "mfad lets in, but nobody answered its prompt");
		if (c->unsent)
			return frame_end_login(c, RELAY_BROKEN, "mfad lets in, but it did not hear everything");
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
		return frame_end_login(c, RELAY_BROKEN, "mfad sent %zu bytes of endings", n);
	memcpy(cut->bytes, payload, n);
	cut->size = n;
	return frame_end_login(c, RELAY_CUT, "%s", "");
}

/* Acts on one frame. False: the login is decided. */
static bool act(struct conn *c, char *frame, size_t n)
{
	if (c->talk->cut != NULL && frame[0] == CUT)
		return take_cut(c, frame + 1, n - 1);
	if (c->talk->cut != NULL && frame[0] != DONE)
		return frame_end_login(c, RELAY_BROKEN, "mfad sent a frame of the type %d in place of how a line is cut", frame[0]);
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
			return frame_end_login(c, RELAY_BROKEN, "mfad sent a malformed prompt");
		relay_clean(frame + 2, n - 2, true);
		return prompt(c, frame[1] == VISIBLE, frame + 2);
	default:
		return frame_end_login(c, RELAY_BROKEN, "mfad sent a frame of the unknown type %d", frame[0]);
	}
}

/* Reads frames and acts on them, until the login is decided. */
static void obey(struct conn *c)
{
	for (int i = 0; i < RELAY_MAX_FRAMES; i++) {
		char *frame = NULL;
		size_t n = 0;
		bool more;

		if (!frame_read(c, &frame, &n))
			return;
		more = act(c, frame, n);
		frame_drop(c, frame, n);
		if (!more)
			return;
	}
	frame_end_login(c, RELAY_BROKEN, "mfad sent %d frames and no outcome", RELAY_MAX_FRAMES);
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
