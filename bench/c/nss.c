/*
 * A source of accounts for NSS: "bench" and a number is the account with that number
 * above 1,000,000. It answers in constant time, as the cache of a directory does, however
 * many accounts there are. HOMES is the folder of their homes.
 */
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 1000000, MOST = 1000000 };

static enum nss_status fill(unsigned n, struct passwd *pw, char *buf, size_t len, int *err)
{
	int used = snprintf(buf, len, "bench%u", n) + 1;

	if (len < 64 || used + snprintf(buf + used, len - used, HOMES "/bench%u", n) + 1 > (int)len) {
		*err = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	pw->pw_name = buf;
	pw->pw_dir = buf + used;
	pw->pw_uid = pw->pw_gid = FIRST + n;
	pw->pw_passwd = "x";
	pw->pw_gecos = "";
	pw->pw_shell = "/bin/sh";
	return NSS_STATUS_SUCCESS;
}

static enum nss_status nobody(int *err)
{
	*err = ENOENT;
	return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_bench_getpwnam_r(const char *name, struct passwd *pw, char *buf, size_t len, int *err)
{
	char *end = "";
	unsigned long n = strncmp(name, "bench", 5) == 0 && name[5] >= '0' && name[5] <= '9' ? strtoul(name + 5, &end, 10) : MOST;

	return n < MOST && *end == 0 ? fill(n, pw, buf, len, err) : nobody(err);
}

enum nss_status _nss_bench_getpwuid_r(uid_t uid, struct passwd *pw, char *buf, size_t len, int *err)
{
	return uid >= FIRST && uid < FIRST + MOST ? fill(uid - FIRST, pw, buf, len, err) : nobody(err);
}
