#include "b64.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char standard[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { SPACE = 64, PAD, BAD };

static unsigned char values[256];

static void
init_values(void)
{
	if (values[0] == BAD)
		return;
	memset(values, BAD, sizeof(values));
	for (unsigned i = 0; i < 64; i++)
		values[(unsigned char)standard[i]] = (unsigned char)i;
	for (const char *p = " \t\r\n\v\f"; *p; p++)
		values[(unsigned char)*p] = SPACE;
	values['='] = PAD;
}

static int
bad_byte(const char *s, size_t i, struct verr *e)
{
	return verr_set(e, VERR_INPUT,
			"byte 0x%02x at offset %zu is not base64",
			(unsigned char)s[i], i);
}

/* Nothing but '=' and white space may follow the first '='. */
static int
check_padding(const char *s, size_t len, size_t i, unsigned digits,
	      struct verr *e)
{
	size_t first = i;
	unsigned pads = 0;

	for (; i < len; i++) {
		unsigned char v = values[(unsigned char)s[i]];

		if (v == PAD)
			pads++;
		else if (v != SPACE)
			return bad_byte(s, i, e);
	}
	if (digits % 4 + pads != 4 || pads > 2)
		return verr_set(e, VERR_INPUT,
				"wrong base64 padding at offset %zu", first);
	return 0;
}

/* Groups of four digits with nothing between; returns how far it came. */
static size_t
decode_run(char **to, const char *s, size_t len)
{
	const unsigned char *u = (const unsigned char *)s;
	char *p = *to;
	size_t i;

	for (i = 0; i + 4 <= len; i += 4) {
		unsigned a = values[u[i]], b = values[u[i + 1]];
		unsigned c = values[u[i + 2]], d = values[u[i + 3]];

		if ((a | b | c | d) >= SPACE)
			break;
		*p++ = (char)(a << 2 | b >> 4);
		*p++ = (char)(b << 4 | c >> 2);
		*p++ = (char)(c << 6 | d);
	}
	*to = p;
	return i;
}

int
b64_decode(struct buf *out, const char *s, size_t len, struct verr *e)
{
	size_t start = out->len, i;
	unsigned digits = 0;
	uint32_t bits = 0;
	char *p;

	init_values();
	if (!buf_reserve(out, len / 4 * 3 + 3))
		return verr_set(e, VERR_RETRY, "out of memory for base64");
	p = out->data + out->len;
	for (i = 0; i < len; i++) {
		unsigned char v;

		if (digits % 4 == 0)
			i += decode_run(&p, s + i, len - i);
		if (i == len)
			break;
		v = values[(unsigned char)s[i]];
		if (v == SPACE)
			continue;
		if (v == PAD && digits % 4)
			break;
		if (v >= SPACE) {
			bad_byte(s, i, e);
			goto fail;
		}
		bits = bits << 6 | v;
		if (++digits % 4 == 0) {
			*p++ = (char)(bits >> 16);
			*p++ = (char)(bits >> 8);
			*p++ = (char)bits;
		}
	}
	if (i < len && check_padding(s, len, i, digits, e) == -1)
		goto fail;
	if (digits % 4 == 1) {
		verr_set(e, VERR_INPUT, "base64 ends early at offset %zu", i);
		goto fail;
	}
	if (digits % 4 == 2)
		*p++ = (char)(bits >> 4);
	if (digits % 4 == 3) {
		*p++ = (char)(bits >> 10);
		*p++ = (char)(bits >> 2);
	}
	out->len = (size_t)(p - out->data);
	*p = '\0';
	return 0;

fail:
	out->data[start] = '\0';
	return -1;
}

static void
encode(struct buf *out, const unsigned char *p, size_t len, const char *digit,
       bool pad)
{
	size_t i;
	uint32_t w;
	char *d;

	if (len > SIZE_MAX / 2 || !buf_reserve(out, len / 3 * 4 + 4)) {
		out->failed = true;
		return;
	}
	d = out->data + out->len;
	for (i = 0; i + 3 <= len; i += 3) {
		w = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
		*d++ = digit[w >> 18];
		*d++ = digit[w >> 12 & 63];
		*d++ = digit[w >> 6 & 63];
		*d++ = digit[w & 63];
	}
	if (i < len) {
		w = (uint32_t)p[i] << 16;
		if (i + 1 < len)
			w |= (uint32_t)p[i + 1] << 8;
		*d++ = digit[w >> 18];
		*d++ = digit[w >> 12 & 63];
		if (i + 1 < len)
			*d++ = digit[w >> 6 & 63];
		else if (pad)
			*d++ = '=';
		if (pad)
			*d++ = '=';
	}
	out->len = (size_t)(d - out->data);
	*d = '\0';
}

void
b64_encode(struct buf *out, const void *data, size_t len)
{
	encode(out, data, len, standard, true);
}

void
b64url_encode(struct buf *out, const void *data, size_t len)
{
	encode(out, data, len, url, false);
}
