/* Where a line of password and code is cut. */

#include "split.h"

#include <stdint.h>
#include <string.h>

/* The kinds of endings, as in internal/wire/cut.go. */
enum {
	DIGITS = 'd',  /* symbols, right behind the password */
	COMMA = ',',   /* symbols behind a comma */
	GROUPED = 'g', /* the same, with something between some of them */
	WORD = 'w',    /* a word behind a comma */
};

struct ending {
	unsigned char kind, count, length;
	const unsigned char *text; /* of that length: the symbols there are, or the word */
};

static unsigned char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : (unsigned char)c;
}

/* Whether a byte may stand between symbols. Behind a comma that is also any byte that is
 * not ASCII, for dashes are typed and pasted in many forms. */
static bool separates(char c, bool comma)
{
	return c == ' ' || c == '-' || (comma && (unsigned char)c >= 0x80);
}

static bool has_word(const char *line, size_t *at, const struct ending *e)
{
	if (*at < e->length)
		return false;
	*at -= e->length;
	for (size_t i = 0; i < e->length; i++)
		if (lower(line[*at + i]) != e->text[i])
			return false;
	return true;
}

static bool has_symbols(const char *line, size_t *at, const struct ending *e)
{
	unsigned left = e->count;
	bool grouped = false;

	for (; left > 0; (*at)--) {
		if (*at == 0)
			return false;
		if (memchr(e->text, lower(line[*at - 1]), e->length) != NULL)
			left--;
		else if (left < e->count && separates(line[*at - 1], e->kind != DIGITS))
			grouped = true;
		else
			return false;
	}
	return grouped || e->kind != GROUPED;
}

/* Looks for one ending at the end of a line of n bytes. */
static bool ends_in(const char *line, size_t n, const struct ending *e, struct split_cut *cut)
{
	size_t at = n;

	while (at > 0 && line[at - 1] == ' ')
		at--;
	cut->end = at;
	if (!(e->kind == WORD ? has_word(line, &at, e) : has_symbols(line, &at, e)))
		return false;
	cut->code = at;
	if (e->kind != DIGITS) {
		while (at > 0 && line[at - 1] == ' ')
			at--;
		if (at == 0 || line[--at] != ',')
			return false;
	}
	cut->password = at;
	return at > 0;
}

/* Reads the ending at p, of which there are n bytes or fewer. */
static bool read_ending(const unsigned char *p, size_t n, struct ending *e)
{
	if (n < 3)
		return false;
	*e = (struct ending){.kind = p[0], .count = p[1], .length = p[2], .text = p + 3};
	if (e->length == 0 || e->length > n - 3)
		return false;
	switch (e->kind) {
	case DIGITS:
	case COMMA:
	case GROUPED:
		return e->count > 0;
	case WORD:
		return e->count == 0;
	}
	return false;
}

enum split_found split_line(const char *line, const struct split_endings *endings, struct split_cut *cut)
{
	enum split_found found = SPLIT_NOTHING;
	size_t n = strlen(line);
	struct split_cut here;
	struct ending e;

	for (size_t i = 0; i < endings->size; i += 3 + (size_t)e.length) {
		if (!read_ending(endings->bytes + i, endings->size - i, &e))
			return SPLIT_BROKEN;
		if (found == SPLIT_NOTHING && ends_in(line, n, &e, &here)) {
			*cut = here;
			found = SPLIT_CODE;
		}
	}
	return found;
}

/* The value of a symbol of base64 (RFC 4648, section 4), or -1. */
static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes n symbols of base64 into a text; false if it is none, or has a NUL in it. */
static bool decode(const char *from, size_t n, char *to)
{
	uint32_t bits = 0;
	int have = 0;

	if (n % 4 == 0)
		for (int pad = 0; pad < 2 && n > 0 && from[n - 1] == '='; pad++)
			n--;
	if (n % 4 == 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		int value = sextet(from[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		*to = (char)(bits >> have & 0xff);
		if (*to++ == '\0')
			return false;
	}
	*to = '\0';
	return true;
}

bool split_challenge(const char *line, char *password, char *answer)
{
	static const char mark[] = "SCRV1:";
	const char *first = line + sizeof(mark) - 1, *colon;

	if (strncmp(line, mark, sizeof(mark) - 1) != 0)
		return false;
	colon = strchr(first, ':');
	return colon != NULL && colon != first && decode(first, (size_t)(colon - first), password) &&
	       decode(colon + 1, strlen(colon + 1), answer);
}
