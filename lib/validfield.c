/* The checks of single fields; the CHECKs of sql/ say the same in SQL. */
#include <string.h>

#include "utf8.h"
#include "valid.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* 1 to `max` of the characters `allowed`. */
static int
check_set(const char *s, const char *allowed, size_t max, const char *what,
	  const char *rule, struct verr *e)
{
	size_t len = strlen(s);

	if (len >= 1 && len <= max && strspn(s, allowed) == len)
		return 0;
	return verr_set(e, VERR_INPUT, "'%.64s' is no %s\nhint: 1 to %zu of %s",
			s, what, max, rule);
}

int
valid_acl(const char *s, struct verr *e)
{
	return check_set(s, LETTERS DIGITS "_.:/-", 128,
			 "address list, address or network",
			 "letters, digits and _ . : / -", e);
}

int
valid_context(const char *s, struct verr *e)
{
	return check_set(s, LETTERS DIGITS "_.-", 64, "dialplan context",
			 "letters, digits and _ . -", e);
}

int
valid_digits(const char *s, struct verr *e)
{
	return check_set(s, DIGITS "*#", 8, "key of a phone", "digits, * and #",
			 e);
}

int
valid_prefix(const char *s, struct verr *e)
{
	return check_set(s + (*s == '+'), DIGITS "*#", 32, "prefix",
			 "digits, * and #, after a + or not", e);
}

int
valid_gateway(const char *s, struct verr *e)
{
	return check_set(s, LETTERS DIGITS "_.-", 64, "name of a gateway",
			 "letters, digits and _ . -", e);
}

int
valid_sip_uri(const char *s, struct verr *e)
{
	size_t len = strlen(s);
	size_t scheme = strncmp(s, "sip:", 4) == 0    ? 4
			: strncmp(s, "sips:", 5) == 0 ? 5
						      : 0;

	if (!scheme || len == scheme || len > 192 ||
	    s[scheme + strspn(s + scheme, LETTERS DIGITS "_.:;=@+[]-")])
		return verr_set(e, VERR_INPUT,
				"'%.64s' is no SIP URI\n"
				"hint: such as sip:10.0.0.11:5080",
				s);
	return 0;
}

/* UTF-8 of 1 to `max` characters, without control characters. */
static int
check_line(const char *s, size_t max, const char *what, struct verr *e)
{
	size_t len = strlen(s), count = 0, n;

	for (size_t i = 0; i < len; i += n, count++) {
		const unsigned char *c = (const unsigned char *)s + i;

		n = utf8_sequence(s + i, len - i);
		if (n == 0 || *c < 0x20 || *c == 0x7f ||
		    (*c == 0xc2 && c[1] < 0xa0))
			return verr_set(e, VERR_INPUT,
					"%s has a control character, or is not "
					"UTF-8, at offset %zu",
					what, i);
	}
	if (count == 0 || count > max)
		return verr_set(e, VERR_INPUT, "%s is not 1 to %zu characters",
				what, max);
	return 0;
}

int
valid_label(const char *s, struct verr *e)
{
	return check_line(s, 64, "the text", e);
}

int
valid_file(const char *s, struct verr *e)
{
	return check_line(s, 1024, "the name of the file", e);
}

int
valid_directory(const char *s, struct verr *e)
{
	if (*s != '/')
		return verr_set(e, VERR_INPUT,
				"'%.64s' does not begin with '/'", s);
	for (const char *p = s; (p = strstr(p, "/..")) != NULL; p++)
		if (!p[3] || p[3] == '/')
			return verr_set(e, VERR_INPUT,
					"'%.64s' leads upwards with '..'", s);
	return valid_file(s, e);
}
