/* Finding mfad: is its folder to be trusted, and does anybody listen there. */

#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* Milliseconds of a clock that nobody sets; false if it cannot be read, as under a filter
 * of system calls (seccomp(2)). Then every deadline has passed. */
static bool read_clock(int64_t *ms)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return false;
	*ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	return true;
}

int64_t relay_deadline(int64_t ms)
{
	int64_t now;

	return read_clock(&now) ? now + ms : 0;
}

int relay_time_left(int64_t deadline)
{
	int64_t now, left;

	if (!read_clock(&now) || now >= deadline)
		return 0;
	left = deadline - now;
	return left < INT_MAX ? (int)left : INT_MAX;
}

bool relay_path_fits(const char *path)
{
	return path[0] == '/' && strlen(path) < PATH_ROOM;
}

/*
 * A user who may write to the folder may put a socket of their own there and accept
 * every login, so that is checked before anybody is spoken to. stat(2) follows
 * links: what counts is the folder that connect(2) will use.
 */
static bool folder_is_safe(const char *path, struct relay_verdict *v)
{
	char folder[PATH_ROOM];
	struct stat st;
	size_t n = (size_t)(strrchr(path, '/') - path);
	uid_t me = geteuid();

	if (n == 0)
		n = 1; /* the socket lies in / */
	memcpy(folder, path, n);
	folder[n] = '\0';

	if (stat(folder, &st) != 0) {
		v->outcome = errno == ENOENT ? RELAY_ABSENT : RELAY_UNAVAILABLE;
		snprintf(v->why, sizeof(v->why),
			 "cannot look at the socket's folder %s: %m; is mfad running?", folder);
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		v->outcome = RELAY_BROKEN;
		snprintf(v->why, sizeof(v->why), "%s is not a folder; check socket=", folder);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != me) {
		v->outcome = RELAY_BROKEN;
		snprintf(v->why, sizeof(v->why),
			 "the socket's folder %s belongs to uid %u, who could answer in mfad's place; "
			 "mend it with: chown root %s", folder, (unsigned)st.st_uid, folder);
		return false;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		v->outcome = RELAY_BROKEN;
		snprintf(v->why, sizeof(v->why),
			 "the socket's folder %s has mode %04o, so others could answer in mfad's place; "
			 "mend it with: chmod go-w %s", folder, (unsigned)st.st_mode & 07777, folder);
		return false;
	}
	return true;
}

/* A host that closed its standard descriptors must not get the socket as one. */
static int above_standard(int fd)
{
	int higher;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return higher;
}

/* connect(2) waits while the listener's queue is full; this bounds the wait. */
static bool bound_connect(int fd, int64_t deadline)
{
	int left = relay_time_left(deadline);
	struct timeval t = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};

	if (left == 0) { /* zero would mean for ever */
		errno = EAGAIN;
		return false;
	}
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) == 0;
}

static bool connect_in_time(int fd, const struct sockaddr_un *to, int64_t deadline)
{
	do {
		if (!bound_connect(fd, deadline))
			return false;
		if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
			return true;
	} while (errno == EINTR);
	return false;
}

int relay_connect(const char *path, int64_t deadline, struct relay_verdict *v)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (!relay_path_fits(path)) {
		v->outcome = RELAY_BROKEN;
		snprintf(v->why, sizeof(v->why),
			 "the socket's path must be absolute and below %d bytes", PATH_ROOM);
		return -1;
	}
	if (!folder_is_safe(path, v))
		return -1;
	memcpy(to.sun_path, path, strlen(path) + 1);

	fd = above_standard(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (fd < 0) {
		v->outcome = RELAY_BROKEN;
		snprintf(v->why, sizeof(v->why), "cannot open a socket: %m");
		return -1;
	}
	if (connect_in_time(fd, &to, deadline))
		return fd;

	if (errno == ENOENT || errno == ECONNREFUSED) {
		v->outcome = RELAY_ABSENT;
		snprintf(v->why, sizeof(v->why),
			 "nobody listens at %s: %m; is mfad running?", path);
	} else {
		v->outcome = RELAY_UNAVAILABLE;
		snprintf(v->why, sizeof(v->why), "cannot connect to %s: %s", path,
			 errno == EAGAIN ? "mfad does not take connections in time"
					 : strerror(errno));
	}
	close(fd);
	return -1;
}
