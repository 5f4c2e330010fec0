#include "httphead.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EXTRA_MAX 8192

static bool
fail(struct http_fault *fault, int status, const char *why)
{
	fault->status = status;
	fault->why = why;
	return false;
}

/* --- where it ends ---------------------------------------------------- */

static bool
is_too_long(const struct http_scan *s, size_t at, struct http_fault *fault)
{
	if (!s->fields && at - s->start > HTTP_LINE_MAX + 2)
		return !fail(fault, 414, "the request line is too long");
	if (s->fields && at - s->fields > HTTP_FIELDS_MAX)
		return !fail(fault, 431, "the header fields are too long");
	return false;
}

long
http_head_scan(struct http_scan *s, const char *data, size_t len,
	       struct http_fault *fault)
{
	const char *end;
	size_t at;

	while ((end = memchr(data + s->at, '\n', len - s->at))) {
		at = (size_t)(end - data);
		if (at == s->line || data[at - 1] != '\r') {
			fail(fault, 400, "a line does not end with CR LF");
			return -1;
		}
		s->at = at + 1;
		if (is_too_long(s, s->at, fault))
			return -1;
		if (at - 1 > s->line) {
			if (!s->fields)
				s->fields = s->at;
		} else if (s->fields) {
			return (long)s->at;
		} else if (s->at > 16) {
			fail(fault, 400, "there is no request line");
			return -1;
		} else {
			/* RFC 9112 2.2: empty lines before it are nothing. */
			s->start = s->at;
		}
		s->line = s->at;
	}
	s->at = len;
	return is_too_long(s, len, fault) ? -1 : 0;
}

/* --- its parts -------------------------------------------------------- */

/* tchar of RFC 9110 5.6.2. */
static bool
is_token(const char *s, size_t len)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || (c && strchr(others, c))))
			return false;
	}
	return len > 0;
}

/* No control character; bytes above 127 may be anybody's UTF-8. */
static bool
is_clean(const char *s, size_t len, bool may_have_blanks)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		bool is_blank = c == ' ' || c == '\t';

		if (is_blank ? !may_have_blanks : c < ' ' || c == 0x7f)
			return false;
	}
	return true;
}

static bool
parse_version(struct http_head *h, const char *s, size_t len,
	      struct http_fault *fault)
{
	if (len != 8 || memcmp(s, "HTTP/", 5) != 0 || s[5] < '0' ||
	    s[5] > '9' || s[6] != '.' || s[7] < '0' || s[7] > '9')
		return fail(fault, 400, "the request line is malformed");
	if (s[5] != '1')
		return fail(fault, 505, "this is an HTTP/1.1 server");
	h->close = s[7] == '0';
	return true;
}

static bool
parse_line(struct http_head *h, char *line, size_t len,
	   struct http_fault *fault)
{
	char *target, *version, *end = line + len;

	target = memchr(line, ' ', len);
	version = memrchr(line, ' ', len);
	if (!target || target == version ||
	    !is_token(line, (size_t)(target - line)) || version == target + 1 ||
	    !is_clean(target + 1, (size_t)(version - target - 1), false))
		return fail(fault, 400, "the request line is malformed");
	*target++ = '\0';
	*version++ = '\0';
	h->method = line;
	h->target = target;
	h->target_len = (size_t)(version - target - 1);
	return parse_version(h, version, (size_t)(end - version), fault);
}

static bool
has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (list += strspn(list, " \t,"); *list;
	     list += strspn(list, " \t,")) {
		size_t one = strcspn(list, " \t,");

		if (one == len && strncasecmp(list, word, len) == 0)
			return true;
		list += one;
	}
	return false;
}

static void
take_length(struct http_head *h, const char *value)
{
	h->lengths++;
	h->length = 0;
	h->bad_length |= !*value;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			h->bad_length = true;
		/* What is too large for a number is too large for a body. */
		else if (h->length < UINT64_MAX / 10 - 1)
			h->length = h->length * 10 + (uint64_t)(*value - '0');
	}
}

/* The fields that anybody here looks at, by the length of their names. */
static void
take_field(struct http_head *h, const char *name, size_t len, const char *value,
	   int *hosts)
{
	switch (len) {
	case 4:
		*hosts += strcasecmp(name, "host") == 0;
		break;
	case 6:
		if (strcasecmp(name, "expect") == 0)
			h->expects = strcasecmp(value, "100-continue") == 0;
		break;
	case 10:
		if (strcasecmp(name, "connection") == 0)
			h->close |= has_word(value, "close");
		break;
	case 12:
		if (strcasecmp(name, "content-type") == 0)
			h->content_type = value;
		break;
	case 13:
		if (strcasecmp(name, "authorization") == 0)
			h->authorization = value;
		break;
	case 14:
		if (strcasecmp(name, "content-length") == 0)
			take_length(h, value);
		break;
	case 17:
		if (strcasecmp(name, "transfer-encoding") == 0) {
			h->encodings++;
			h->chunked = strcasecmp(value, "chunked") == 0;
		}
		break;
	default:
		break;
	}
}

static bool
parse_field(struct http_head *h, char *line, size_t len, int *hosts,
	    struct http_fault *fault)
{
	char *colon = memchr(line, ':', len), *value, *end = line + len;

	if (!colon || !is_token(line, (size_t)(colon - line)))
		return fail(fault, 400, "a header field is malformed");
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (!is_clean(value, (size_t)(end - value), true))
		return fail(fault, 400, "a header field is malformed");
	*colon = '\0';
	*end = '\0';
	take_field(h, line, (size_t)(colon - line), value, hosts);
	return true;
}

bool
http_head_parse(struct http_head *h, const struct http_scan *s, char *data,
		size_t len, struct http_fault *fault)
{
	char *line = data + s->fields, *end = data + len - 2;
	int hosts = 0;
	bool is_old;

	memset(h, 0, sizeof(*h));
	if (!parse_line(h, data + s->start, s->fields - 2 - s->start, fault))
		return false;
	is_old = h->close;
	while (line < end) {
		char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!parse_field(h, line, (size_t)(stop - 1 - line), &hosts,
				 fault))
			return false;
		line = stop + 1;
	}
	if (hosts > 1 || (hosts == 0 && !is_old))
		return fail(fault, 400, "a request names one Host");
	if (h->bad_length)
		return fail(fault, 400, "the length of the body is no number");
	return true;
}

/* --- chunks: RFC 9112 7.1 --------------------------------------------- */

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER, /* the beginning of a line */
	TRAILER_TEXT,
	TRAILER_LF,
	END_LF,
	END,
};

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The state after a byte that is no data; -1: it must not be there. */
static int
next_state(struct http_chunks *c, char byte)
{
	int value;

	switch (c->state) {
	case SIZE:
		value = digit(byte);
		if (value >= 0) {
			c->left = c->left << 4 | (uint64_t)value;
			return ++c->digits > 12 ? -1 : SIZE;
		}
		if (!c->digits)
			return -1;
		return byte == '\r'                 ? SIZE_LF
		       : byte == ';' || byte == ' ' ? EXTENSION
						    : -1;
	case EXTENSION:
		if (byte == '\r')
			return SIZE_LF;
		return byte == '\n' || ++c->extra > EXTRA_MAX ? -1 : EXTENSION;
	case SIZE_LF:
		c->digits = 0;
		return byte != '\n' ? -1 : c->left ? DATA : TRAILER;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : -1;
	case DATA_LF:
		return byte == '\n' ? SIZE : -1;
	case TRAILER:
		if (byte == '\r')
			return END_LF;
		/* fall through */
	case TRAILER_TEXT:
		if (byte == '\r')
			return TRAILER_LF;
		return byte == '\n' || ++c->extra > EXTRA_MAX ? -1
							      : TRAILER_TEXT;
	case TRAILER_LF:
		return byte == '\n' ? TRAILER : -1;
	case END_LF:
		return byte == '\n' ? END : -1;
	default:
		return -1;
	}
}

int
http_chunks_take(struct http_chunks *c, const char *data, size_t len,
		 size_t *used, struct buf *out, size_t *taken, size_t limit)
{
	const char *p = data, *end = data + len;

	while (p < end && c->state != END && *taken <= limit) {
		if (c->state == DATA) {
			size_t n = (size_t)(end - p);

			if (n > c->left)
				n = (size_t)c->left;
			*taken += n;
			if (out && *taken <= limit)
				buf_add(out, p, n);
			p += n;
			c->left -= n;
			if (!c->left)
				c->state = DATA_CR;
			continue;
		}
		c->state = next_state(c, *p++);
		if (c->state == -1)
			break;
	}
	*used = (size_t)(p - data);
	return c->state == -1 ? -1 : c->state == END;
}
