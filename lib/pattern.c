#include "pattern.h"

#include <string.h>

#define DIGITS 0x3ff

static const char characters[] = "0123456789*#+";

static unsigned
bit(char c)
{
	const char *p = c ? strchr(characters, c) : NULL;

	return p ? 1U << (p - characters) : 0;
}

/* "15-7]": the bits, and how long it is; 0 when it is no class. */
static unsigned
class_bits(const char *s, size_t *len)
{
	const char *start = s;
	unsigned bits = 0;

	for (; *s && *s != ']'; s++) {
		char last = s[1] == '-' ? s[2] : *s;

		if (*s < '0' || last > '9' || last < *s)
			return 0;
		for (char c = *s; c <= last; c++)
			bits |= bit(c);
		if (s[1] == '-')
			s += 2;
	}
	*len = (size_t)(s - start) + 1;
	return *s == ']' ? bits : 0;
}

bool
pattern_parse(struct pattern *p, const char *text)
{
	*p = (struct pattern){ .n = 0 };
	for (size_t len; *text; text += len) {
		unsigned bits = bit(*text);

		len = 1;
		if (*text == '.' && !text[1] && p->n) {
			p->more = true;
			return true;
		}
		if (*text == 'X')
			bits = DIGITS;
		else if (*text == 'Z')
			bits = DIGITS & ~bit('0');
		else if (*text == 'N')
			bits = DIGITS & ~(bit('0') | bit('1'));
		else if (*text == '[') {
			bits = class_bits(text + 1, &len);
			len++;
		}
		if (!bits || p->n == PATTERN_PLACES)
			return false;
		p->places[p->n++] = (unsigned short)bits;
	}
	return p->n > 0;
}

bool
pattern_covers(const struct pattern *outer, const struct pattern *inner)
{
	if (outer->more ? inner->n + inner->more <= outer->n
			: inner->n != outer->n || inner->more)
		return false;
	for (size_t i = 0; i < inner->n; i++) {
		unsigned allowed = i < outer->n ? outer->places[i] : DIGITS;

		if (inner->places[i] & ~allowed)
			return false;
	}
	return true;
}

static void
put_place(struct buf *out, unsigned bits)
{
	for (size_t i = 0; characters[i]; i++)
		if (bits & 1U << i)
			buf_putc(out, characters[i]);
}

bool
pattern_near(const struct pattern *p, const struct pattern *number,
	     struct buf *why)
{
	size_t n = p->n < number->n ? p->n : number->n, wrong = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		if (!(number->places[i] & ~p->places[i]))
			continue;
		at = i;
		wrong++;
	}
	/* A pattern of few places is near everything. */
	if (wrong > 1 || n < 2)
		return false;
	if (wrong == 0 && (p->more ? number->n <= p->n : number->n != p->n)) {
		buf_printf(why, "wants %zu%s digits, %zu were dialled",
			   p->n + p->more, p->more ? " or more" : "",
			   number->n);
		return true;
	}
	if (wrong == 0 || (!p->more && number->n != p->n))
		return false;
	buf_printf(why, "wants one of ");
	put_place(why, p->places[at]);
	buf_printf(why, " as digit %zu, not ", at + 1);
	put_place(why, number->places[at]);
	return true;
}
