#include "fsxml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

#define DECLARATION \
	"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
#define DOCUMENT "<document type=\"freeswitch/xml\">\n"

const char fsxml_not_found[] =
	DECLARATION DOCUMENT "  <section name=\"result\">\n"
			     "    <result status=\"not found\"/>\n"
			     "  </section>\n"
			     "</document>\n";
const size_t fsxml_not_found_len = sizeof(fsxml_not_found) - 1;

enum mode { EXACT, PLAIN, EXPANDED };

/* Bytes that need a look: all but printable ASCII other than & < > " $ - */
static const bool special[256] = {
	[0x00 ... 0x1f] = true, ['"'] = true,           ['&'] = true,
	['<'] = true,           ['>'] = true,           ['$'] = true,
	['-'] = true,           [0x7f ... 0xff] = true,
};

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* U+FFFE and U+FFFF are UTF-8 and not XML (XML 1.0 section 2.2). */
static bool
is_noncharacter(const char *s, size_t len)
{
	return len == 3 && memcmp(s, "\xef\xbf", 2) == 0 &&
	       (unsigned char)s[2] >= 0xbe;
}

/* FreeSWITCH looks for "${", and passes over backslashes between the two. */
static bool
starts_expansion(const char *s, const char *end)
{
	do
		s++;
	while (s < end && *s == '\\');
	return s < end && *s == '{';
}

/* "${}" is the variable without a name: nothing, unless a "{" moves up. */
static bool
names_nothing(const char *s, const char *end)
{
	return end - s >= 3 && memcmp(s, "${}", 3) == 0 &&
	       !starts_expansion(s + 2, end);
}

static void
put_dollar(struct buf *b, const char *s, const char *end, enum mode mode)
{
	if (mode == PLAIN && starts_expansion(s, end) && !names_nothing(s, end))
		buf_putc(b, '%');
	else if (mode == EXPANDED && !(s + 1 < end && s[1] == '$'))
		buf_putc(b, '$');
	else
		buf_puts(b, "&#36;");
}

/* Values end with a NUL, so the byte after the last may be looked at. */
static void
put_ascii(struct buf *b, const char *s, const char *start)
{
	switch (*s) {
	case '&':
		buf_puts(b, "&amp;");
		break;
	case '<':
		buf_puts(b, "&lt;");
		break;
	case '>':
		buf_puts(b, "&gt;");
		break;
	case '"':
		buf_puts(b, "&quot;");
		break;
	case '\t':
		buf_puts(b, "&#9;");
		break;
	case '\n':
		buf_puts(b, "&#10;");
		break;
	case '\r':
		buf_puts(b, "&#13;");
		break;
	case '-':
		if (s > start && (s[-1] | 0x20) == 'x' && (s[1] | 0x20) == 'p')
			buf_puts(b, "&#45;");
		else
			buf_putc(b, '-');
		break;
	case 0x7f:
		buf_putc(b, *s);
		break;
	default:
		buf_puts(b, REPLACEMENT);
	}
}

static void
put_value(struct buf *b, const char *s, size_t len, enum mode mode)
{
	const char *start = s, *end = s + len;
	size_t n;

	while (s < end) {
		const char *run = s;

		while (s < end && !special[(unsigned char)*s])
			s++;
		buf_add(b, run, (size_t)(s - run));
		if (s == end)
			break;
		n = 1;
		if (*s == '$') {
			put_dollar(b, s, end, mode);
		} else if ((unsigned char)*s < 0x80) {
			put_ascii(b, s, start);
		} else {
			n = utf8_sequence(s, (size_t)(end - s));
			if (is_noncharacter(s, n))
				buf_puts(b, REPLACEMENT);
			else if (n)
				buf_add(b, s, n);
			else
				utf8_repair(b, s, 1);
			n = n ? n : 1;
		}
		s += n;
	}
}

static void
finish_tag(struct fsxml *x)
{
	if (x->in_tag)
		buf_puts(x->out, ">\n");
	x->in_tag = false;
}

static void
indent(struct fsxml *x)
{
	static const char spaces[2 * FSXML_DEPTH + 1] =
		"                                ";

	buf_add(x->out, spaces, 2 * (size_t)x->depth);
}

void
fsxml_begin(struct fsxml *x, struct buf *out, const char *section)
{
	memset(x, 0, sizeof(*x));
	x->out = out;
	buf_reserve(out, 2047); /* a user's document, in one allocation */
	buf_puts(out, DECLARATION DOCUMENT);
	x->open[x->depth++] = "document";
	fsxml_open(x, "section");
	fsxml_attr(x, "name", section);
}

void
fsxml_begin_part(struct fsxml *x, struct buf *out)
{
	memset(x, 0, sizeof(*x));
	x->out = out;
}

void
fsxml_open(struct fsxml *x, const char *element)
{
	assert(x->depth < FSXML_DEPTH);
	finish_tag(x);
	indent(x);
	buf_putc(x->out, '<');
	buf_puts(x->out, element);
	x->open[x->depth++] = element;
	x->in_tag = true;
}

static void
attribute(struct fsxml *x, const char *name, const char *value, enum mode mode)
{
	assert(x->in_tag);
	buf_putc(x->out, ' ');
	buf_puts(x->out, name);
	buf_puts(x->out, "=\"");
	put_value(x->out, value, strlen(value), mode);
	buf_putc(x->out, '"');
}

void
fsxml_attr(struct fsxml *x, const char *name, const char *value)
{
	attribute(x, name, value, EXACT);
}

void
fsxml_plain(struct fsxml *x, const char *name, const char *value)
{
	attribute(x, name, value, PLAIN);
}

void
fsxml_expanded(struct fsxml *x, const char *name, const char *value)
{
	attribute(x, name, value, EXPANDED);
}

void
fsxml_name(struct fsxml *x, const char *name)
{
	assert(x->in_tag);
	buf_puts(x->out, " name=\"");
	buf_puts(x->out, name);
	buf_putc(x->out, '"');
}

void
fsxml_item(struct fsxml *x, const char *element, const char *name,
	   const char *value)
{
	if (!value)
		return;
	fsxml_open(x, element);
	fsxml_name(x, name);
	fsxml_plain(x, "value", value);
	fsxml_close(x);
}

void
fsxml_close(struct fsxml *x)
{
	const char *element;

	assert(x->depth > 0);
	element = x->open[--x->depth];
	if (x->in_tag) {
		buf_puts(x->out, "/>\n");
		x->in_tag = false;
		return;
	}
	indent(x);
	buf_puts(x->out, "</");
	buf_puts(x->out, element);
	buf_puts(x->out, ">\n");
}

void
fsxml_close_to(struct fsxml *x, unsigned depth)
{
	while (x->depth > depth)
		fsxml_close(x);
}

void
fsxml_end(struct fsxml *x)
{
	fsxml_close_to(x, 0);
}

void
fsxml_generation(struct buf *document, uint64_t generation)
{
	static const char head[] = DECLARATION DOCUMENT;
	size_t at = sizeof(head) - 1 - strlen(">\n"), len = document->len;
	char text[48];
	int n = snprintf(text, sizeof(text), " generation=\"%" PRIu64 "\"",
			 generation);

	if (len < sizeof(head) - 1 ||
	    memcmp(document->data, head, sizeof(head) - 1) != 0)
		return;
	buf_add(document, text, (size_t)n);
	if (buf_failed(document))
		return;
	memmove(document->data + at + n, document->data + at, len - at);
	memcpy(document->data + at, text, (size_t)n);
}
