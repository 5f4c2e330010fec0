#include "cdrrepair.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* More than FreeSWITCH ever sets, and little enough to sort. */
#define MAX_PAIRS      8192
#define MAX_NAME       256
#define MAX_BOUNDARIES 8 /* each costs reading what follows */

struct pair {
	const char *name;
	const char *value;
	size_t name_len;
	size_t value_len;
};

struct pairs {
	struct pair *item;
	size_t count;
	size_t size;
};

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "no memory for a CDR");
}

/* --- control characters ------------------------------------------------- */

static void
escape_controls(struct buf *out, const char *text, size_t len)
{
	bool in_string = false;
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"') {
			in_string = !in_string;
		} else if (c == '\\' && in_string && i + 1 < len &&
			   (unsigned char)text[i + 1] >= ' ') {
			i++;
		} else if (c < ' ' && in_string) {
			buf_add(out, text + start, i - start);
			buf_printf(out, "\\u%04x", c);
			start = i + 1;
		}
	}
	buf_add(out, text + start, len - start);
}

/* --- the fields of `variables` ------------------------------------------ */

static bool
is_name_byte(char c)
{
	return c > ' ' && c != '"' && c != '\\' && c != 0x7f;
}

/* The length of a name at `s` that `":"` follows, or 0. */
static size_t
name_length(const char *s, const char *end)
{
	size_t n = 0;

	while (s + n < end && n <= MAX_NAME && is_name_byte(s[n]))
		n++;
	if (n == 0 || n > MAX_NAME || end - (s + n) < 3 ||
	    memcmp(s + n, "\":\"", 3) != 0)
		return 0;
	return n;
}

static bool
add_pair(struct pairs *p, const struct pair *pair)
{
	struct pair *item;

	if (p->count == p->size) {
		p->size = p->size ? p->size * 2 : 256;
		item = realloc(p->item, p->size * sizeof(*item));
		if (!item)
			return false;
		p->item = item;
	}
	p->item[p->count++] = *pair;
	return true;
}

/* From the first name, without its quote, to the last value's end. */
static int
scan_pairs(struct pairs *p, const char *s, const char *end, struct verr *e)
{
	struct pair pair = { .name = s, .name_len = name_length(s, end) };
	const char *at = s + pair.name_len + 3;

	if (pair.name_len == 0)
		return verr_set(e, VERR_INPUT,
				"the CDR's 'variables' are broken");
	pair.value = at;
	for (;;) {
		const char *next = memmem(at, (size_t)(end - at), "\",\"", 3);
		size_t n = next ? name_length(next + 3, end) : 0;

		if (next && n == 0) {
			at = next + 1;
			continue;
		}
		pair.value_len = (size_t)((next ? next : end) - pair.value);
		if (!add_pair(p, &pair))
			return no_memory(e);
		if (!next)
			return 0;
		if (p->count == MAX_PAIRS)
			return verr_set(e, VERR_INPUT,
					"the CDR has too many variables");
		pair.name = next + 3;
		pair.name_len = n;
		at = pair.value = pair.name + n + 3;
	}
}

static int
by_name(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
	int order = memcmp(x->name, y->name, n);

	if (order)
		return order;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return x->name < y->name ? -1 : 1;
}

static bool
same_name(const struct pair *a, const struct pair *b)
{
	return a->name_len == b->name_len &&
	       memcmp(a->name, b->name, a->name_len) == 0;
}

static bool
same_value(const struct pair *a, const struct pair *b)
{
	return a->value_len == b->value_len &&
	       memcmp(a->value, b->value, a->value_len) == 0;
}

static bool
is_one_of(const struct pair *p, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == p->name_len &&
		    memcmp(*names, p->name, p->name_len) == 0)
			return true;
	return false;
}

/*
 * The only one whose value no other has, or NULL.  Those with a quote in them
 * do not count: a forged text's last value drags along the quote that closes
 * the real one.
 */
static const struct pair *
choose_single(const struct pair *same, size_t n)
{
	const struct pair *single = NULL;
	size_t equal;

	/* n squared: of few, and honest senders repeat no name */
	for (size_t i = 0; i < n && n <= 64; i++) {
		if (memchr(same[i].value, '"', same[i].value_len))
			continue;
		equal = 0;
		for (size_t k = 0; k < n; k++)
			equal += same_value(&same[i], &same[k]);
		if (equal > 1)
			continue;
		if (single)
			return NULL;
		single = &same[i];
	}
	return single;
}

/* The one that counts of `n` with the same name, or NULL. */
static const struct pair *
choose(const struct pair *same, size_t n)
{
	static const char *const before[] = {
		"uuid",
		"direction",
		"session_id",
		NULL,
	};
	static const char *const after[] = {
		"duration",  "billsec",  "mduration", "billmsec",
		"uduration", "billusec", NULL,
	};

	if (n == 1 || is_one_of(same, before))
		return same;
	if (is_one_of(same, after))
		return &same[n - 1];
	return choose_single(same, n);
}

/* --- writing it anew ----------------------------------------------------- */

/* A value in which JSON's escapes stand, but for some quotes. */
static void
write_escaped(struct buf *out, const char *s, size_t len)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char next = i + 1 < len ? s[i + 1] : '\0';

		if (c == '\\' && next && strchr("\"\\/bfnrtu", next)) {
			buf_putc(out, '\\');
			buf_putc(out, next);
			i++;
		} else if (c == '"' || c == '\\') {
			buf_putc(out, '\\');
			buf_putc(out, (char)c);
		} else if (c < ' ') {
			buf_printf(out, "\\u%04x", c);
		} else {
			buf_putc(out, (char)c);
		}
	}
	buf_putc(out, '"');
}

static void
write_pairs(struct buf *out, struct pairs *p, bool escaped)
{
	const struct pair *chosen;
	size_t n;
	char separator = '{';

	if (p->count)
		qsort(p->item, p->count, sizeof(*p->item), by_name);
	for (size_t i = 0; i < p->count; i += n) {
		for (n = 1; i + n < p->count &&
			    same_name(&p->item[i], &p->item[i + n]);
		     n++)
			;
		chosen = choose(&p->item[i], n);
		if (!chosen)
			continue;
		buf_putc(out, separator);
		separator = ',';
		utf8_json(out, chosen->name, chosen->name_len);
		buf_putc(out, ':');
		if (escaped)
			write_escaped(out, chosen->value, chosen->value_len);
		else
			utf8_json(out, chosen->value, chosen->value_len);
	}
	buf_putc(out, '}');
}

/* --- where `variables` ends ---------------------------------------------- */

/* `s` is `,"callflow":[...]...}`: is it JSON but for its first byte? */
static bool
is_tail(const char *s, const char *end)
{
	struct buf object = BUF_INIT;
	json_t *json = NULL;

	buf_putc(&object, '{');
	buf_add(&object, s + 1, (size_t)(end - s) - 1);
	if (!buf_failed(&object))
		json = json_loadb(object.data, object.len, JSON_ALLOW_NUL,
				  NULL);
	buf_release(&object);
	json_decref(json);
	return json != NULL;
}

/*
 * The end of the last value (its closing quote) in [s, end), and in `*tail`
 * what follows the closing brace, NULL when that is no JSON.  A caller may have
 * written such a boundary too: the first from which the rest is JSON is the
 * real one.
 */
static const char *
find_boundary(const char *s, const char *end, const char **tail)
{
	static const char *const marks[] = { "\"},\"app_log\":{",
					     "\"},\"callflow\":[" };
	const char *last = NULL, *p = s, *hit, *next;

	*tail = NULL;
	for (unsigned tries = 0; tries < MAX_BOUNDARIES; tries++) {
		hit = NULL;
		for (unsigned m = 0; m < 2; m++) {
			next = memmem(p, (size_t)(end - p), marks[m],
				      strlen(marks[m]));
			if (next && (!hit || next < hit))
				hit = next;
		}
		if (!hit)
			break;
		last = hit;
		if (is_tail(hit + 2, end)) {
			*tail = hit + 2;
			return hit;
		}
		p = hit + 1;
	}
	/* no callflow at all */
	if (!last && end - s > 3 && memcmp(end - 3, "\"}}", 3) == 0)
		last = end - 3;
	return last;
}

static int
repair_variables(struct buf *out, const char *text, size_t len, struct verr *e)
{
	static const char mark[] = "\"variables\":{\"";
	static const char raw_caller[] = "\"caller_id\":\"\\\"";
	const char *end = text + len, *tail, *boundary;
	const char *start = memmem(text, len, mark, sizeof(mark) - 1);
	struct pairs pairs = { 0 };
	bool escaped;
	int rc = -1;

	if (!start)
		return verr_set(e, VERR_INPUT, "the CDR has no 'variables'");
	start += sizeof(mark) - 1;
	boundary = find_boundary(start, end, &tail);
	if (!boundary)
		return verr_set(e, VERR_INPUT, "the CDR is cut short");
	if (scan_pairs(&pairs, start, boundary, e) == -1)
		goto out;
	/* Every CDR has a caller_id, and it starts with a quote: escaped means
	 * that the values were not encoded. */
	escaped = memmem(text, len, raw_caller, sizeof(raw_caller) - 1);
	buf_add(out, text, (size_t)(start - text) - 2);
	write_pairs(out, &pairs, escaped);
	if (tail)
		buf_add(out, tail, (size_t)(end - tail));
	else
		buf_putc(out, '}');
	rc = buf_failed(out) ? no_memory(e) : 0;
out:
	free(pairs.item);
	return rc;
}

int
cdr_repair(struct buf *out, const char *text, size_t len, bool form,
	   struct verr *e)
{
	if (form)
		return repair_variables(out, text, len, e);
	escape_controls(out, text, len);
	return buf_failed(out) ? no_memory(e) : 0;
}
