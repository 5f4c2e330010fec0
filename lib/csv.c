#include "csv.h"

#include <string.h>

bool
csv_is_whole(const char *s, size_t len)
{
	bool whole = true;

	for (const char *p = s, *end = s + len;
	     (p = memchr(p, '"', (size_t)(end - p))); p++)
		whole = !whole;
	return whole;
}

/* A field in quotes, from the one that opens it; NULL: it is not right. */
static char *
quoted(char *from, char **to, struct verr *e)
{
	char *out = from;

	for (from++;; from++) {
		if (*from == '"' && from[1] == '"')
			from++;
		else if (*from == '"')
			break;
		if (!*from) {
			verr_set(e, VERR_INPUT, "a quote is not closed");
			return NULL;
		}
		*out++ = *from;
	}
	*to = out;
	from++;
	if (*from && *from != ',') {
		verr_set(e, VERR_INPUT, "text follows a closing quote");
		return NULL;
	}
	return from;
}

int
csv_split(char *s, const char **fields, int max, struct verr *e)
{
	char *end;
	bool more;

	for (int n = 0; n < max;) {
		char *to;

		fields[n++] = s;
		if (*s == '"') {
			end = quoted(s, &to, e);
			if (!end)
				return -1;
		} else {
			end = s + strcspn(s, ",\"");
			to = end;
			if (*end == '"')
				return verr_set(e, VERR_INPUT,
						"a quote stands within a field "
						"that does not begin with one");
		}
		more = *end == ',';
		*to = '\0';
		if (!more)
			return n;
		s = end + 1;
	}
	return verr_set(e, VERR_INPUT, "more than %d fields", max);
}

void
csv_add(struct buf *b, bool first, const char *s)
{
	if (!first)
		buf_putc(b, ',');
	if (*s && !s[strcspn(s, ",\"\r\n")]) {
		buf_puts(b, s);
		return;
	}
	buf_putc(b, '"');
	for (; *s; s++) {
		if (*s == '"')
			buf_putc(b, '"');
		buf_putc(b, *s);
	}
	buf_putc(b, '"');
}
