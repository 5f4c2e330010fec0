#include "form.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A hexadecimal digit's value plus one; 0 for anything else. */
static const unsigned char hex_value[256] = {
	['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12,
	['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

/* Whether one of eight bytes is `c`: then its byte of x minus one borrows. */
static bool
has_byte(uint64_t word, unsigned char c)
{
	const uint64_t one = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t x = word ^ (one * c);

	return (x - one) & ~x & high;
}

/* Never longer than the source; returns the end of what was written. */
static char *
decode(char *to, const char *s, size_t len, bool plus)
{
	const char *end = s + len;
	uint64_t word;
	char c;

	while (s < end) {
		if ((size_t)(end - s) >= sizeof(word)) {
			memcpy(&word, s, sizeof(word));
			if (!has_byte(word, '%') && !has_byte(word, '+')) {
				memcpy(to, &word, sizeof(word));
				to += sizeof(word);
				s += sizeof(word);
				continue;
			}
		}
		c = *s++;
		if (c == '%' && end - s >= 2) {
			unsigned high = hex_value[(unsigned char)s[0]];
			unsigned low = hex_value[(unsigned char)s[1]];

			if (high && low) {
				c = (char)((high - 1) << 4 | (low - 1));
				s += 2;
			}
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*to++ = c;
	}
	return to;
}

static size_t
count_pairs(const char *data, size_t len)
{
	const char *end = data + len;
	size_t count = 1;

	for (const char *p = data; (p = memchr(p, '&', (size_t)(end - p))); p++)
		count++;
	return count;
}

/* "a=b&&c" is two pairs, the second with an empty value. */
int
form_parse(struct form *f, const char *data, size_t len, size_t max_pairs,
	   struct verr *e)
{
	const char *p = data, *end = data + len;
	size_t allocated;
	char *to;

	memset(f, 0, sizeof(*f));
	if (len == 0)
		return 0;
	allocated = count_pairs(data, len);
	if (allocated > max_pairs)
		allocated = max_pairs;
	/* Each pair needs two NULs, and has '=' or '&' for one of them. */
	f->storage = malloc(len + allocated + 1);
	f->pairs = calloc(allocated ? allocated : 1, sizeof(*f->pairs));
	if (!f->storage || !f->pairs) {
		form_release(f);
		return verr_set(e, VERR_RETRY, "out of memory for a form");
	}
	to = f->storage;
	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp ? amp : end, *eq;
		struct form_pair *pair;

		if (stop == p) {
			p++;
			continue;
		}
		if (f->count == max_pairs) {
			form_release(f);
			return verr_set(e, VERR_INPUT,
					"form has more than %zu fields",
					max_pairs);
		}
		pair = &f->pairs[f->count++];
		eq = memchr(p, '=', (size_t)(stop - p));
		pair->name = to;
		to = decode(to, p, (size_t)((eq ? eq : stop) - p), true);
		pair->name_len = (size_t)(to - pair->name);
		*to++ = '\0';
		pair->value = to;
		if (eq)
			to = decode(to, eq + 1, (size_t)(stop - eq - 1), true);
		pair->value_len = (size_t)(to - pair->value);
		*to++ = '\0';
		p = amp ? amp + 1 : end;
	}
	return 0;
}

void
form_release(struct form *f)
{
	free(f->pairs);
	free(f->storage);
	memset(f, 0, sizeof(*f));
}

static bool
is_named(const struct form_pair *pair, const char *name, size_t len)
{
	return pair->name_len == len && memcmp(pair->name, name, len) == 0;
}

const struct form_pair *
form_first(const struct form *f, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < f->count; i++)
		if (is_named(&f->pairs[i], name, len))
			return &f->pairs[i];
	return NULL;
}

const struct form_pair *
form_last(const struct form *f, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = f->count; i > 0; i--)
		if (is_named(&f->pairs[i - 1], name, len))
			return &f->pairs[i - 1];
	return NULL;
}

void
form_decode(struct buf *out, const char *s, size_t len, bool plus)
{
	char *end;

	if (!buf_reserve(out, len))
		return;
	end = decode(out->data + out->len, s, len, plus);
	out->len = (size_t)(end - out->data);
	*end = '\0';
}

static bool
is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

void
form_encode(struct buf *out, const char *s, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to;

	if (len > SIZE_MAX / 4 || !buf_reserve(out, 3 * len)) {
		out->failed = true;
		return;
	}
	to = out->data + out->len;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (is_unreserved(s[i])) {
			*to++ = s[i];
			continue;
		}
		*to++ = '%';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	out->len = (size_t)(to - out->data);
	*to = '\0';
}
