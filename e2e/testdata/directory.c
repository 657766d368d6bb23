/*
 * A directory of the tests' own: a source for NSS (GNU C Library manual, "NSS
 * Module Function Internals") that knows what the file TABLE says and behaves as
 * the file MODE says. NAME is the source's name; it is built as libnss_NAME.so.2.
 *
 *	TABLE   user NAME UID         of one uid the first is canonical
 *	        odd NAME UID OTHER    NAME has UID, and UID has the name OTHER
 *	        group NAME GID MEMBER
 *	MODE    up, enoent, eio, eagain, etimedout, none; slow: answers once it is not
 *
 * A name "slow-..." is slow while MODE is slow, and others are not. Without MODE,
 * or descriptors to read it, it answers that it knows nobody, as some do.
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOIN(a, b, c) a##b##c
#define FUNCTION(name, function) JOIN(_nss_, name, function)

static void read_mode(char *mode)
{
	FILE *f = fopen(MODE, "re");

	strcpy(mode, "none");
	if (f == NULL)
		return;
	if (fscanf(f, "%31s", mode) != 1)
		strcpy(mode, "none");
	fclose(f);
}

/* out_of_order returns what to answer before looking, or NSS_STATUS_SUCCESS. */
static enum nss_status out_of_order(const char *name, int *err)
{
	static const struct { const char *mode; int err; enum nss_status status; } faults[] = {
		{ "enoent", ENOENT, NSS_STATUS_UNAVAIL },
		{ "eio", EIO, NSS_STATUS_UNAVAIL },
		{ "eagain", EAGAIN, NSS_STATUS_TRYAGAIN },
		{ "etimedout", ETIMEDOUT, NSS_STATUS_UNAVAIL },
		{ "none", 0, NSS_STATUS_NOTFOUND },
	};
	char mode[32];

	read_mode(mode);
	while (strcmp(mode, "slow") == 0 && name != NULL && strncmp(name, "slow-", 5) == 0) {
		usleep(50 * 1000);
		read_mode(mode);
	}
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (strcmp(mode, faults[i].mode) == 0) {
			*err = faults[i].err;
			return faults[i].status;
		}
	}
	return NSS_STATUS_SUCCESS;
}

static char *keep(const char *text, char **buf, size_t *len)
{
	size_t n = strlen(text) + 1;
	char *at = *buf;

	if (n > *len)
		return NULL;
	memcpy(at, text, n);
	*buf += n;
	*len -= n;
	return at;
}

/* find looks for a user by name, or by uid if name is NULL. */
static enum nss_status find(const char *name, uid_t uid, struct passwd *pw, char *buf, size_t len, int *err)
{
	char line[512], what[16], first[256], second[256];
	unsigned id;
	enum nss_status status = out_of_order(name, err);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	FILE *f = fopen(TABLE, "re");
	if (f == NULL)
		return NSS_STATUS_NOTFOUND;
	status = NSS_STATUS_NOTFOUND;
	while (status == NSS_STATUS_NOTFOUND && fgets(line, sizeof(line), f) != NULL) {
		int n = sscanf(line, "%15s %255s %u %255s", what, first, &id, second);
		if (n < 3 || strcmp(what, "group") == 0)
			continue;
		const char *known = name != NULL || n < 4 ? first : second;
		if (name != NULL ? strcmp(name, first) != 0 : uid != id)
			continue;
		pw->pw_name = keep(known, &buf, &len);
		pw->pw_passwd = keep("x", &buf, &len);
		pw->pw_gecos = pw->pw_passwd;
		pw->pw_dir = keep("/", &buf, &len);
		pw->pw_shell = keep("/bin/sh", &buf, &len);
		pw->pw_uid = id;
		pw->pw_gid = id;
		status = NSS_STATUS_SUCCESS;
		if (pw->pw_name == NULL || pw->pw_passwd == NULL || pw->pw_dir == NULL || pw->pw_shell == NULL) {
			*err = ERANGE;
			status = NSS_STATUS_TRYAGAIN;
		}
	}
	fclose(f);
	return status;
}

enum nss_status FUNCTION(NAME, _getpwnam_r)(const char *name, struct passwd *pw, char *buf, size_t len, int *err)
{
	return find(name, 0, pw, buf, len, err);
}

enum nss_status FUNCTION(NAME, _getpwuid_r)(uid_t uid, struct passwd *pw, char *buf, size_t len, int *err)
{
	return find(NULL, uid, pw, buf, len, err);
}

enum nss_status FUNCTION(NAME, _getgrnam_r)(const char *name, struct group *gr, char *buf, size_t len, int *err)
{
	static char *nobody[] = { NULL };
	char line[512], first[256], member[256];
	unsigned id;
	enum nss_status status = out_of_order(name, err);

	if (status != NSS_STATUS_SUCCESS)
		return status;
	FILE *f = fopen(TABLE, "re");
	if (f == NULL)
		return NSS_STATUS_NOTFOUND;
	status = NSS_STATUS_NOTFOUND;
	while (status == NSS_STATUS_NOTFOUND && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "group %255s %u %255s", first, &id, member) != 3 || strcmp(name, first) != 0)
			continue;
		gr->gr_name = keep(first, &buf, &len);
		gr->gr_passwd = gr->gr_name;
		gr->gr_gid = id;
		gr->gr_mem = nobody;
		status = gr->gr_name != NULL ? NSS_STATUS_SUCCESS : NSS_STATUS_TRYAGAIN;
		*err = ERANGE;
	}
	fclose(f);
	return status;
}

enum nss_status FUNCTION(NAME, _initgroups_dyn)(const char *user, gid_t skip, long *start, long *size,
						gid_t **groups, long limit, int *err)
{
	char line[512], first[256], member[256];
	unsigned id;
	enum nss_status status = out_of_order(user, err);

	(void)limit;
	if (status != NSS_STATUS_SUCCESS)
		return status;
	FILE *f = fopen(TABLE, "re");
	if (f == NULL)
		return NSS_STATUS_NOTFOUND;
	status = NSS_STATUS_NOTFOUND;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "group %255s %u %255s", first, &id, member) != 3 || strcmp(user, member) != 0 || id == skip)
			continue;
		if (*start == *size) {
			gid_t *more = realloc(*groups, 2 * *size * sizeof(*more));
			if (more == NULL) {
				*err = ENOMEM;
				status = NSS_STATUS_TRYAGAIN;
				break;
			}
			*groups = more;
			*size *= 2;
		}
		(*groups)[(*start)++] = id;
		status = NSS_STATUS_SUCCESS;
	}
	fclose(f);
	return status;
}
