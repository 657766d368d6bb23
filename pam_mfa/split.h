/*
 * The code behind the password in one line: where the line is cut.
 *
 * Pure text: no PAM, no socket, nothing global. It knows no kind of code; mfad says
 * what may stand behind the password (CUT of internal/wire/cut.go), and this looks for
 * it at the end of the line. What it is given it keeps no copy of.
 */
#ifndef PAM_MFA_SPLIT_H
#define PAM_MFA_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

enum {
	SPLIT_MAX_ENDINGS = 512, /* of all endings, bytes */
};

/* All that may stand behind a password, in the form of CUT. */
struct split_endings {
	size_t size;
	unsigned char bytes[SPLIT_MAX_ENDINGS];
};

/* Where a line is cut. Between the two may be a comma, behind the code blanks. */
struct split_cut {
	size_t password;  /* bytes of the line that are the password */
	size_t code, end; /* the code is from here to there */
};

enum split_found {
	SPLIT_NOTHING, /* the whole line is the password */
	SPLIT_CODE,    /* cut is filled in */
	SPLIT_BROKEN,  /* the endings are malformed */
};

/* Looks for the endings at the end of a line, one after the other. The first that is
 * there, and leaves a password that is not empty, counts. */
enum split_found split_line(const char *line, const struct split_endings *endings, struct split_cut *cut);

/*
 * Takes apart "SCRV1:" and the password and the answer in base64, with a colon between
 * them, in which OpenVPN carries the answer to its static challenge. Both buffers have
 * room for the line with its NUL. False, and nothing of use in them, if it is not one, or
 * has an empty password: the application took the line for one that is not.
 */
bool split_challenge(const char *line, char *password, char *answer);

#pragma GCC visibility pop

#endif
