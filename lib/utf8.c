#include "utf8.h"

#include <stdint.h>
#include <string.h>

static bool
is_continuation(const char *s)
{
	return ((unsigned char)*s & 0xc0) == 0x80;
}

/* RFC 3629 section 4: the second byte is where overlong forms show. */
size_t
utf8_sequence(const char *s, size_t len)
{
	unsigned char a, b;

	if (len == 0)
		return 0;
	a = (unsigned char)s[0];
	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4 || len < 2 || !is_continuation(s + 1))
		return 0;
	if (a < 0xe0)
		return 2;
	b = (unsigned char)s[1];
	if (len < 3 || !is_continuation(s + 2))
		return 0;
	if (a < 0xf0) {
		if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f))
			return 0;
		return 3;
	}
	if (len < 4 || !is_continuation(s + 3))
		return 0;
	if ((a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f))
		return 0;
	return 4;
}

/* Bytes from s that are plain ASCII other than NUL, eight at a time. */
static size_t
ascii_run(const char *s, size_t len)
{
	const uint64_t high = 0x8080808080808080u, one = 0x0101010101010101u;
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, s + i, sizeof(word));
		if ((word | (word - one)) & high)
			break;
	}
	while (i < len && s[i] > 0)
		i++;
	return i;
}

bool
utf8_valid(const char *s, size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		i += ascii_run(s + i, len - i);
		if (i == len)
			break;
		n = utf8_sequence(s + i, len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

void
utf8_trim(char *s)
{
	size_t len = strlen(s), n = len;

	while (n && len - n < 3 && ((unsigned char)s[n - 1] & 0xc0) == 0x80)
		n--;
	if (n && ((unsigned char)s[n - 1] & 0x80) &&
	    utf8_sequence(s + n - 1, len - n + 1) != len - n + 1)
		s[n - 1] = '\0';
}

bool
utf8_repair(struct buf *b, const char *s, size_t len)
{
	bool repaired = false;
	size_t i = 0, run, n;

	while (i < len) {
		run = ascii_run(s + i, len - i);
		buf_add(b, s + i, run);
		i += run;
		if (i == len)
			break;
		n = utf8_sequence(s + i, len - i);
		if (s[i] == '\0') {
			buf_puts(b, "\xef\xbf\xbd");
			repaired = true;
			n = 1;
		} else if (n) {
			buf_add(b, s + i, n);
		} else {
			unsigned char c = (unsigned char)s[i];

			buf_putc(b, (char)(0xc0 | c >> 6));
			buf_putc(b, (char)(0x80 | (c & 0x3f)));
			repaired = true;
			n = 1;
		}
		i += n;
	}
	return repaired;
}

static uint32_t
code_point(const char *s, size_t n)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = (unsigned char)s[0] & mask[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	return c;
}

/* C0, DEL, C1, line separators, and what turns the direction of writing. */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e ||
	       c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

void
utf8_escape(struct buf *b, const char *s, size_t len)
{
	size_t i = 0, n;

	while (i < len) {
		n = utf8_sequence(s + i, len - i);
		if (n && !is_unsafe(code_point(s + i, n))) {
			buf_add(b, s + i, n);
			i += n;
			continue;
		}
		for (n = n ? n : 1; n; n--, i++)
			buf_printf(b, "\\x%02x", (unsigned char)s[i]);
	}
}

static void
json_ascii(struct buf *b, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *p = c ? strchr(plain, c) : NULL;

	if (p) {
		buf_putc(b, '\\');
		buf_putc(b, letter[p - plain]);
	} else if ((unsigned char)c < 0x20 || c == 0x7f) {
		buf_printf(b, "\\u%04x", (unsigned char)c);
	} else {
		buf_putc(b, c);
	}
}

static bool
is_json_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void
utf8_json(struct buf *b, const char *s, size_t len)
{
	size_t i = 0, run, n;

	buf_putc(b, '"');
	while (i < len) {
		run = 0;
		while (i + run < len && is_json_plain(s[i + run]))
			run++;
		buf_add(b, s + i, run);
		i += run;
		if (i == len)
			break;
		n = utf8_sequence(s + i, len - i);
		if (n == 1 && s[i])
			json_ascii(b, s[i]);
		else
			utf8_repair(b, s + i, n ? n : 1);
		i += n ? n : 1;
	}
	buf_putc(b, '"');
}

/* Unicode's combining marks (0 columns) and wide characters (2), coarsely. */
static const struct {
	uint32_t first;
	uint32_t last;
	unsigned width;
} widths[] = {
	{ 0x0300, 0x036f, 0 },   { 0x0483, 0x0489, 0 },
	{ 0x0591, 0x05bd, 0 },   { 0x0610, 0x061a, 0 },
	{ 0x064b, 0x065f, 0 },   { 0x1100, 0x115f, 2 },
	{ 0x1ab0, 0x1aff, 0 },   { 0x1dc0, 0x1dff, 0 },
	{ 0x200b, 0x200d, 0 },   { 0x20d0, 0x20ff, 0 },
	{ 0x2e80, 0x303e, 2 },   { 0x3041, 0x33ff, 2 },
	{ 0x3400, 0x4dbf, 2 },   { 0x4e00, 0x9fff, 2 },
	{ 0xa000, 0xa4cf, 2 },   { 0xac00, 0xd7a3, 2 },
	{ 0xf900, 0xfaff, 2 },   { 0xfe00, 0xfe0f, 0 },
	{ 0xfe20, 0xfe2f, 0 },   { 0xfe30, 0xfe6f, 2 },
	{ 0xff00, 0xff60, 2 },   { 0xffe0, 0xffe6, 2 },
	{ 0x1f300, 0x1f64f, 2 }, { 0x1f900, 0x1f9ff, 2 },
	{ 0x20000, 0x3fffd, 2 },
};

static size_t
width_of(uint32_t c)
{
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		if (c < widths[i].first)
			break;
		if (c <= widths[i].last)
			return widths[i].width;
	}
	return 1;
}

size_t
utf8_width(const char *s, size_t len)
{
	size_t i = 0, n, width = 0;

	for (; i < len; i += n) {
		n = utf8_sequence(s + i, len - i);
		if (!n)
			n = 1;
		width += n == 1 ? 1 : width_of(code_point(s + i, n));
	}
	return width;
}
