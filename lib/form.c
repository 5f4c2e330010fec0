#include "form.h"

#include <stdlib.h>
#include <string.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Never longer than the source; returns the end of what was written. */
static char *
decode(char *to, const char *s, size_t len, bool plus)
{
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '+' && plus) {
			c = ' ';
		} else if (c == '%' && len - i > 2) {
			int high = hex_digit(s[i + 1]);
			int low = hex_digit(s[i + 2]);

			if (high >= 0 && low >= 0) {
				c = (char)(high << 4 | low);
				i += 2;
			}
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

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (is_unreserved(s[i])) {
			buf_putc(out, s[i]);
			continue;
		}
		buf_putc(out, '%');
		buf_putc(out, digits[c >> 4]);
		buf_putc(out, digits[c & 15]);
	}
}
