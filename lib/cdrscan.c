#include "cdrscan.h"

#include <string.h>

/* FreeSWITCH nests a dozen deep; the parser may go deeper. */
#define MAX_DEPTH 64

struct scan {
	const char *p;
	const char *end;
	unsigned depth;
	bool has_variables;
	bool has_uuid;
	bool has_start;
};

enum place { TOP, VARIABLES, ELSEWHERE };

struct text {
	const char *s;
	size_t len;
};

static bool scan_value(struct scan *s, enum place place);

static void
skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' ||
				 *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool
take(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* After the backslash; halves of surrogate pairs are left to the parser. */
static bool
scan_escape(struct scan *s)
{
	if (s->p == s->end)
		return false;
	if (*s->p != 'u')
		return *s->p && strchr("\"\\/bfnrt", *s->p++);
	if (s->end - s->p < 5 || s->p[1] == 'd' || s->p[1] == 'D')
		return false;
	for (int i = 1; i < 5; i++)
		if (!s->p[i] || !strchr("0123456789abcdefABCDEF", s->p[i]))
			return false;
	s->p += 5;
	return true;
}

/* The string's bytes as they stand. */
static bool
scan_string(struct scan *s, struct text *t)
{
	if (!take(s, '"'))
		return false;
	t->s = s->p;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p++;

		if (c == '"') {
			t->len = (size_t)(s->p - t->s) - 1;
			return true;
		}
		if (c < ' ' || (c == '\\' && !scan_escape(s)))
			return false;
	}
	return false;
}

static size_t
scan_digits(struct scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - start);
}

/* Without exponents, and nothing that could be too large. */
static bool
scan_number(struct scan *s)
{
	bool zero;
	size_t n;

	take(s, '-');
	zero = s->p < s->end && *s->p == '0';
	n = scan_digits(s);
	if (n == 0 || n > 18 || (zero && n > 1))
		return false;
	return !take(s, '.') || scan_digits(s) > 0;
}

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool
is(const struct text *t, const char *word)
{
	return t->len == strlen(word) && memcmp(t->s, word, t->len) == 0;
}

static bool
is_plain(const struct text *t)
{
	return t->len > 0 && t->len <= 256 && !memchr(t->s, '\\', t->len) &&
	       !memchr(t->s, '%', t->len);
}

/* Sixteen digits of microseconds: 2001 to 2190. */
static bool
is_time(const struct text *t)
{
	if (t->len != 16 || t->s[0] < '1' || t->s[0] > '6')
		return false;
	for (size_t i = 0; i < t->len; i++)
		if (t->s[i] < '0' || t->s[i] > '9')
			return false;
	return true;
}

/* A member of `variables`; what counts may stand there once. */
static bool
scan_variable(struct scan *s, const struct text *name)
{
	struct text t;

	if (is(name, "uuid")) {
		if (s->has_uuid || !scan_string(s, &t))
			return false;
		return s->has_uuid = is_plain(&t);
	}
	if (is(name, "start_uepoch")) {
		if (s->has_start || !scan_string(s, &t))
			return false;
		return s->has_start = is_time(&t);
	}
	return scan_value(s, ELSEWHERE);
}

static bool
scan_member(struct scan *s, enum place place)
{
	struct text name;

	skip_space(s);
	if (!scan_string(s, &name))
		return false;
	skip_space(s);
	if (!take(s, ':'))
		return false;
	skip_space(s);
	/* an escape might spell one of our names, or a NUL */
	if (memchr(name.s, '\\', name.len))
		return false;
	if (place == ELSEWHERE)
		return scan_value(s, ELSEWHERE);
	if (place == VARIABLES)
		return scan_variable(s, &name);
	if (!is(&name, "variables"))
		return scan_value(s, ELSEWHERE);
	if (s->has_variables || s->p == s->end || *s->p != '{')
		return false;
	s->has_variables = true;
	return scan_value(s, VARIABLES);
}

static bool
scan_list(struct scan *s, enum place place, bool is_object)
{
	char close = is_object ? '}' : ']';

	s->p++;
	skip_space(s);
	if (take(s, close))
		return true;
	for (;;) {
		if (is_object ? !scan_member(s, place)
			      : !scan_value(s, ELSEWHERE))
			return false;
		skip_space(s);
		if (take(s, close))
			return true;
		if (!take(s, ','))
			return false;
	}
}

static bool
scan_value(struct scan *s, enum place place)
{
	struct text t;
	bool ok;

	skip_space(s);
	if (s->p == s->end || s->depth == MAX_DEPTH)
		return false;
	switch (*s->p) {
	case '"':
		return scan_string(s, &t);
	case '{':
	case '[':
		s->depth++;
		ok = scan_list(s, place, *s->p == '{');
		s->depth--;
		return ok;
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

bool
cdr_scan(const char *text, size_t len)
{
	struct scan s = { .p = text, .end = text + len };

	if (len == 0 || *text != '{' || !scan_value(&s, TOP))
		return false;
	skip_space(&s);
	return s.p == s.end && s.has_uuid && s.has_start;
}
