/*
 * An mfad of threads, one connection at a time each. What it does stands in a text, one
 * letter a step:
 *
 *	i e      says something, or an error
 *	l L      says 3000 bytes, or as much as fits in a frame
 *	v h      asks, visibly or not; the next code in the order CODE, SECOND_CODE is right,
 *	         and anything else ends the login
 *	p        asks, and wants to hear that the password was typed
 *	C        says how a line is cut
 *	s ! x u  ends it: accepted, the same with a new password, exempt, unavailable
 *	z        breaks the protocol
 *	.        says no more
 *	-        hangs up
 */

#define _GNU_SOURCE
#include "walk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SLOTS = 64, MOST = 64 << 10 };

/* Shared with processes that were forked. */
static struct {
	atomic_int letter;
	atomic_bool change, silent;
} *slots;

struct peer {
	int fd, slot;
	size_t n;
	unsigned char frame[MOST + 1]; /* the last that came, with a NUL behind it */
};

int said(int slot, bool *change)
{
	*change = atomic_load(&slots[slot].change);
	return atomic_load(&slots[slot].letter);
}

void said_nothing(int slot)
{
	atomic_store(&slots[slot].letter, 0);
	atomic_store(&slots[slot].change, false);
	atomic_store(&slots[slot].silent, false);
}

bool is_silent(int slot)
{
	return atomic_load(&slots[slot].silent);
}

static bool whole(int fd, void *to, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t some = recv(fd, (char *)to + have, n - have, 0);

		if (some <= 0)
			return false;
		have += (size_t)some;
	}
	return true;
}

/* Reads a frame. */
static bool hear(struct peer *p)
{
	unsigned char head[4];

	if (!whole(p->fd, head, sizeof(head)))
		return false;
	p->n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (p->n < 1 || p->n > MOST || !whole(p->fd, p->frame, p->n))
		return false;
	p->frame[p->n] = '\0';
	return true;
}

static bool tell(struct peer *p, char type, const void *payload, size_t n)
{
	static _Thread_local unsigned char frame[4 + MOST];
	size_t length = n + 1;

	for (int i = 0; i < 4; i++)
		frame[i] = (unsigned char)(length >> (24 - 8 * i));
	frame[4] = (unsigned char)type;
	memcpy(frame + 5, payload, n);
	return send(p->fd, frame, 4 + length, MSG_NOSIGNAL) == (ssize_t)(4 + length);
}

static bool tell_text(struct peer *p, size_t n)
{
	static _Thread_local char text[MOST];

	memset(text, 'x', n);
	return tell(p, 'I', text, n);
}

static void end(struct peer *p, char letter, bool change)
{
	char payload[] = {letter, change ? 1 : 0};

	atomic_store(&slots[p->slot].change, change);
	atomic_store(&slots[p->slot].letter, letter);
	tell(p, 'D', payload, sizeof(payload));
}

/* Asks, and ends the login unless the answer is the code; or unless nobody answered
 * because it was the password, where code is NULL. */
static bool asks(struct peer *p, bool echo, const char *code)
{
	bool right;

	if (!tell(p, 'P', echo ? "vCode: " : "hCode: ", 7) || !hear(p))
		return false;
	if (code == NULL)
		right = strcmp((char *)p->frame, "Np") == 0;
	else
		right = p->frame[0] == 'A' && strcmp((char *)p->frame + 1, code) == 0;
	if (!right)
		end(p, p->frame[0] == 'N' ? 'c' : 'w', false);
	memset(p->frame, 0, p->n);
	return right;
}

static bool step(struct peer *p, char what, const char *code)
{
	switch (what) {
	case 'i': return tell(p, 'I', "A code was sent.", 16);
	case 'e': return tell(p, 'E', "Not that one.", 13);
	case 'l': return tell_text(p, 3000);
	case 'L': return tell_text(p, MOST - 1);
	case 'v': return asks(p, true, code);
	case 'h': return asks(p, false, code);
	case 'p': return asks(p, false, NULL);
	case 'C': return tell(p, 'C', "d\x28\x0a" "0123456789", 13);
	case 'z': tell(p, 'Z', "", 0); return false;
	case '!': end(p, 's', true); return false;
	case 's':
	case 'x':
	case 'u': end(p, what, false); return false;
	default: return false;
	}
}

/* Copies a field of HELLO; empty if it is not there. */
static void field(const struct peer *p, unsigned char tag, char *to, size_t room)
{
	*to = '\0';
	for (size_t at = 7; at + 3 <= p->n;) {
		size_t n = (size_t)p->frame[at + 1] << 8 | p->frame[at + 2];

		if (at + 3 + n > p->n)
			return;
		if (p->frame[at] == tag && n < room) {
			memcpy(to, p->frame + at + 3, n);
			to[n] = '\0';
		}
		at += 3 + n;
	}
}

static void serve(struct peer *p)
{
	static const char *const codes[] = {CODE, SECOND_CODE, NULL};
	char tty[32], slot[32];
	const char *play;
	int asked = 0;

	if (!hear(p))
		return;
	field(p, 4, tty, sizeof(tty));
	field(p, 5, slot, sizeof(slot));
	p->slot = atoi(slot);
	play = play_of(tty, p->frame[0] == 'S');
	if (play == NULL || *slot == '\0' || p->slot >= SLOTS) {
		tell(p, 'D', "b", 2);
		return;
	}
	for (; *play != '\0' && *play != '.'; play++) {
		if (!step(p, *play, codes[asked]))
			break;
		asked += *play == 'v' || *play == 'h';
	}
	if (*play == '.')
		atomic_store(&slots[p->slot].silent, true);
	if (*play != '-')
		while (recv(p->fd, p->frame, MOST, 0) > 0)
			;
	memset(p->frame, 0, MOST);
}

static void *worker(void *listener)
{
	static _Thread_local struct peer p;

	for (;;) {
		p.fd = accept4(*(int *)listener, NULL, NULL, SOCK_CLOEXEC);
		if (p.fd < 0)
			return NULL;
		serve(&p);
		close(p.fd);
	}
}

void daemon_start(const char *path, int threads)
{
	static int listener;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	pthread_attr_t attr;
	pthread_t thread;

	slots = mmap(NULL, SLOTS * sizeof(*slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		exit(2);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&to, sizeof(to)) != 0 || listen(listener, 64) != 0) {
		perror(path);
		exit(2);
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread, &attr, worker, &listener) != 0)
			exit(2);
	pthread_attr_destroy(&attr);
}
