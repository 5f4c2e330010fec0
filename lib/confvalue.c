#include "confvalue.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = {
	{ "ms", 1 },       { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 }, { "", 1000 },  { NULL, 0 },
};

static const struct unit size_units[] = {
	{ "k", 1 << 10 },          { "M", 1 << 20 }, { "G", 1 << 30 },
	{ "T", (int64_t)1 << 40 }, { "", 1 },        { NULL, 0 },
};

static int
parse_scaled(const char *text, const struct unit *units, int64_t *number)
{
	char *end;
	long long n;

	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno)
		return -1;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		return __builtin_mul_overflow(n, units->factor, number) ? -1
									: 0;
	}
	return -1;
}

static int
parse_int(const char *text, int64_t *number)
{
	const char *digits = text + (text[0] == '-');
	char *end;

	if (*digits < '0' || *digits > '9')
		return -1;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno || *end ? -1 : 0;
}

/* The place of `text` among words separated by spaces, or -1. */
static int
find_word(const char *words, const char *text)
{
	size_t len = strlen(text), n;

	for (int i = 0; *words; i++) {
		n = strcspn(words, " ");
		if (n == len && memcmp(words, text, n) == 0)
			return i;
		words += n + (words[n] == ' ');
	}
	return -1;
}

static int
parse_bool(const char *text, int64_t *number)
{
	int i = find_word("false true no yes off on 0 1", text);

	if (i == -1)
		return -1;
	*number = i % 2;
	return 0;
}

void
conf_value_format(enum conf_type type, int64_t n, char *out, size_t size)
{
	const struct unit *units =
		type == CONF_DURATION ? duration_units : size_units;
	const struct unit *best = NULL;

	if (type == CONF_DURATION || type == CONF_SIZE)
		for (; *units->name; units++)
			if (n % units->factor == 0 && n)
				best = units;
	if (best)
		snprintf(out, size, "%" PRId64 "%s", n / best->factor,
			 best->name);
	else
		snprintf(out, size, "%" PRId64, n);
}

static int
check_range(const struct conf_row *row, int64_t number, const char *shown,
	    struct verr *e)
{
	char min[32], max[32];

	if (!row->max || (number >= row->min && number <= row->max))
		return 0;
	conf_value_format(row->type, row->min, min, sizeof(min));
	conf_value_format(row->type, row->max, max, sizeof(max));
	return verr_set(e, VERR_CONFIG,
			"'%s' is out of range for '%s'\n"
			"hint: from %s to %s",
			shown, row->name, min, max);
}

static const char *
expected(const struct conf_row *row)
{
	switch (row->type) {
	case CONF_INT:
		return "a whole number such as 100";
	case CONF_BOOL:
		return "yes or no";
	case CONF_DURATION:
		return "a number with ms, s, m, h or d, such as 5s";
	case CONF_SIZE:
		return "a number of bytes, or with k, M, G or T, such as 64k";
	case CONF_CHOICE:
		return row->words;
	case CONF_STRING:
	case CONF_SECRET:
		break;
	}
	return "text";
}

/* A value as a message may repeat it: escaped, cut, secrets hidden. */
static void
show(const struct conf_row *row, const char *text, char *out, size_t size)
{
	struct buf b = BUF_INIT;

	if (row->type == CONF_SECRET)
		buf_puts(&b, "********");
	else
		utf8_escape(&b, text, strlen(text));
	snprintf(out, size, "%s", b.data);
	buf_release(&b);
}

/* Strings go into log lines, unit files and messages: one line of UTF-8. */
static int
parse_text(const struct conf_row *row, const char *text, struct verr *e)
{
	size_t len = strlen(text);

	if (!utf8_valid(text, len))
		return verr_set(e, VERR_CONFIG,
				"the value of '%s' is not valid UTF-8",
				row->name);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return verr_set(e, VERR_CONFIG,
					"the value of '%s' holds the control "
					"byte 0x%02x",
					row->name, (unsigned char)text[i]);
	return 0;
}

int
conf_value_parse(const struct conf_row *row, const char *text, int64_t *number,
		 struct verr *e)
{
	char shown[128];
	int rc = 0;

	*number = 0;
	switch (row->type) {
	case CONF_STRING:
	case CONF_SECRET:
		return parse_text(row, text, e);
	case CONF_INT:
		rc = parse_int(text, number);
		break;
	case CONF_BOOL:
		rc = parse_bool(text, number);
		break;
	case CONF_DURATION:
		rc = parse_scaled(text, duration_units, number);
		break;
	case CONF_SIZE:
		rc = parse_scaled(text, size_units, number);
		break;
	case CONF_CHOICE:
		*number = find_word(row->words, text);
		rc = *number < 0 ? -1 : 0;
		break;
	}
	show(row, text, shown, sizeof(shown));
	if (rc == -1)
		return verr_set(e, VERR_CONFIG,
				"'%s' is no value for '%s'\n"
				"hint: expected %s%s",
				shown, row->name,
				row->type == CONF_CHOICE ? "one of: " : "",
				expected(row));
	return check_range(row, *number, shown, e);
}

static bool
is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c && strchr("_./:@%+,=-", c)) ||
	       (unsigned char)c >= 0x80;
}

void
conf_value_quote(struct buf *out, const char *text)
{
	size_t plain = 0;

	while (is_plain(text[plain]))
		plain++;
	if (!text[plain]) {
		buf_puts(out, text);
	} else if (!strchr(text, '\'')) {
		buf_printf(out, "'%s'", text);
	} else {
		buf_putc(out, '"');
		for (; *text; text++) {
			if (strchr("\"\\$`", *text))
				buf_putc(out, '\\');
			buf_putc(out, *text);
		}
		buf_putc(out, '"');
	}
}

static int
unquote_double(char *text, struct verr *e)
{
	char *to = text, *p = text + 1;

	for (; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1] && strchr("\"\\$`", p[1]))
			p++;
		else if (*p == '$' || *p == '`')
			return verr_set(e, VERR_CONFIG,
					"'%c' in double quotes, where a shell "
					"would expand it\n"
					"hint: use single quotes",
					*p);
		*to++ = *p;
	}
	if (!*p)
		return verr_set(e, VERR_CONFIG, "the closing \" is missing");
	if (p[1])
		return verr_set(e, VERR_CONFIG, "text after the closing \"");
	*to = '\0';
	return 0;
}

int
conf_value_unquote(char *text, struct verr *e)
{
	size_t len = strlen(text), plain = 0;
	char *quote;

	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	if (text[0] == '"')
		return unquote_double(text, e);
	if (text[0] == '\'') {
		quote = strchr(text + 1, '\'');
		if (!quote)
			return verr_set(e, VERR_CONFIG,
					"the closing ' is missing");
		if (quote[1])
			return verr_set(e, VERR_CONFIG,
					"text after the closing '");
		*quote = '\0';
		memmove(text, text + 1, (size_t)(quote - text));
		return 0;
	}
	while (is_plain(text[plain]))
		plain++;
	if (!text[plain])
		return 0;
	if (text[plain] == ' ' || text[plain] == '\t')
		return verr_set(e, VERR_CONFIG,
				"a value with spaces needs quotes\n"
				"hint: put it in single quotes; a comment "
				"needs a line of its own");
	return verr_set(e, VERR_CONFIG, "a value with '%c' needs quotes",
			text[plain]);
}

/* Levenshtein's, over names of at most 63 letters; case is no difference. */
unsigned
conf_value_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[64], diagonal, above, best;

	if (la >= 64 || lb >= 64)
		return 64;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			above = row[j];
			best = diagonal + (tolower((unsigned char)a[i - 1]) !=
					   tolower((unsigned char)b[j - 1]));
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[lb];
}
