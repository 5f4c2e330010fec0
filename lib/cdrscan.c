#include "cdrscan.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FreeSWITCH nests a dozen deep; the parser may go deeper. */
#define MAX_DEPTH 64

/* --- sources ---------------------------------------------------------- */

static const char *const prefixes[CDR_PLACES] = {
	[CDR_IN_VARIABLES] = "",
	[CDR_IN_FIRST] = "first:",
	[CDR_IN_LAST] = "last:",
	[CDR_IN_TIMES] = "times:",
	[CDR_IN_APPLICATIONS] = "app:",
	[CDR_IN_CHANNEL_DATA] = "/channel_data/",
	[CDR_IN_CALL_STATS] = "/callStats/audio/inbound/",
	[CDR_IN_TOP] = "/",
};

static size_t
hash(const struct cdr_sources *t, enum cdr_place place, const char *name,
     size_t len)
{
	size_t h = (size_t)place * 31 + len * 7;

	if (len)
		h += (unsigned char)name[0] + (unsigned char)name[len / 2] * 5 +
		     (unsigned char)name[len - 1] * 17;
	return h % sizeof(t->hash);
}

/* The slot, or -1; `*at` is its place in the hash, or where it would be. */
static int
find(const struct cdr_sources *t, enum cdr_place place, const char *name,
     size_t len, size_t *at)
{
	const struct cdr_wanted *w;

	*at = hash(t, place, name, len);
	while (t->hash[*at]) {
		w = &t->wanted[t->hash[*at] - 1];
		if (w->place == place && w->len == len &&
		    memcmp(w->name, name, len) == 0)
			return t->hash[*at] - 1;
		*at = (*at + 1) % sizeof(t->hash);
	}
	return -1;
}

size_t
cdr_want(struct cdr_sources *t, const char *s, size_t len)
{
	enum cdr_place place = CDR_IN_VARIABLES;
	size_t at;
	int slot;

	for (enum cdr_place p = CDR_IN_FIRST; p < CDR_PLACES && !place; p++)
		if (len > strlen(prefixes[p]) &&
		    memcmp(s, prefixes[p], strlen(prefixes[p])) == 0)
			place = p;
	s += strlen(prefixes[place]);
	len -= strlen(prefixes[place]);
	slot = find(t, place, s, len, &at);
	if (slot == -1) {
		assert(t->count < CDR_SLOTS);
		slot = (int)t->count++;
		t->wanted[slot] = (struct cdr_wanted){ place, s, len };
		t->hash[at] = (uint8_t)t->count;
	}
	return (size_t)slot;
}

/* --- where the walk is ------------------------------------------------ */

enum room {
	ELSEWHERE,
	TOP,
	VARIABLES,
	CALLFLOW,
	FLOW,
	PROFILE,
	TIMES,
	APP_LOG,
	APPLICATIONS,
	APPLICATION,
	CHANNEL_DATA,
	CALL_STATS,
	AUDIO,
	INBOUND,
};

/* From a room through a door of that name; an object unless `is_list`. */
static const struct door {
	enum room from;
	const char *name;
	enum room to;
	bool is_list;
} doors[] = {
	{ TOP, "variables", VARIABLES, false },
	{ TOP, "callflow", CALLFLOW, true },
	{ TOP, "app_log", APP_LOG, false },
	{ TOP, "channel_data", CHANNEL_DATA, false },
	{ TOP, "callStats", CALL_STATS, false },
	{ FLOW, "caller_profile", PROFILE, false },
	{ FLOW, "times", TIMES, false },
	{ APP_LOG, "applications", APPLICATIONS, true },
	{ CALL_STATS, "audio", AUDIO, false },
	{ AUDIO, "inbound", INBOUND, false },
};

struct text {
	const char *s; /* NULL: none */
	size_t len;
	bool escaped; /* by one character */
	bool unicode; /* \uXXXX is in it */
	bool decimal; /* a number with a fraction */
};

struct scan {
	const struct cdr_sources *sources;
	struct cdr_slot *slots;
	const char *p;
	const char *end;
	unsigned depth;
	unsigned seen;    /* rooms that were entered */
	size_t flow;      /* entries of callflow */
	struct text name; /* of this application */
	struct text data; /* what it was given */
	bool has_app_name;
	bool has_app_data;
};

static bool scan_value(struct scan *s, enum room room);

/* --- words ------------------------------------------------------------ */

static void
skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' ||
				 *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool
take(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* After the backslash; halves of surrogate pairs are left to the parser. */
static bool
scan_escape(struct scan *s, struct text *t)
{
	if (s->p == s->end)
		return false;
	if (*s->p != 'u') {
		t->escaped = true;
		return *s->p && strchr("\"\\/bfnrt", *s->p++);
	}
	t->unicode = true;
	if (s->end - s->p < 5 || s->p[1] == 'd' || s->p[1] == 'D')
		return false;
	for (int i = 1; i < 5; i++)
		if (!s->p[i] || !strchr("0123456789abcdefABCDEF", s->p[i]))
			return false;
	s->p += 5;
	return true;
}

/* The string's bytes as they stand. */
/* Eight bytes of which none is a quote, a backslash or a control? */
static bool
is_plain(const char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t w, quote, backslash;

	memcpy(&w, p, sizeof(w));
	quote = w ^ ones * '"';
	backslash = w ^ ones * '\\';
	return !((((quote - ones) & ~quote) |
		  ((backslash - ones) & ~backslash) | ((w - ones * ' ') & ~w)) &
		 ones << 7);
}

static bool
scan_string(struct scan *s, struct text *t)
{
	if (!take(s, '"'))
		return false;
	*t = (struct text){ .s = s->p };
	for (;;) {
		while (s->end - s->p >= 8 && is_plain(s->p))
			s->p += 8;
		if (s->p == s->end)
			return false;
		unsigned char c = (unsigned char)*s->p++;

		if (c == '"') {
			t->len = (size_t)(s->p - t->s) - 1;
			return true;
		}
		if (c < ' ' || (c == '\\' && !scan_escape(s, t)))
			return false;
	}
}

static size_t
scan_digits(struct scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - start);
}

/* Without exponents, and nothing that could be too large. */
static bool
scan_number(struct scan *s)
{
	bool zero;
	size_t n;

	take(s, '-');
	zero = s->p < s->end && *s->p == '0';
	n = scan_digits(s);
	if (n == 0 || n > 18 || (zero && n > 1))
		return false;
	return !take(s, '.') || scan_digits(s) > 0;
}

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static bool
is(const struct text *t, const char *word)
{
	return t->len == strlen(word) && memcmp(t->s, word, t->len) == 0;
}

/* --- what is wanted --------------------------------------------------- */

/* A value that may be wanted; a text with \uXXXX is the parser's. */
static bool
scan_text(struct scan *s, struct text *t)
{
	*t = (struct text){ .s = NULL };
	skip_space(s);
	if (s->p == s->end)
		return false;
	if (*s->p == '"')
		return scan_string(s, t) && !t->unicode;
	if (*s->p < '0' || *s->p > '9')
		return *s->p != '-' && scan_value(s, ELSEWHERE);
	t->s = s->p;
	if (!scan_number(s))
		return false;
	t->len = (size_t)(s->p - t->s);
	t->decimal = memchr(t->s, '.', t->len) != NULL;
	return true;
}

static void
put(struct cdr_slot *slot, const struct text *t)
{
	slot->s = t->s;
	slot->len = t->len;
	slot->escaped = t->escaped;
	if (!t->decimal)
		return;
	/* as the parser's: a comma or a bracket follows the digits */
	snprintf(slot->number, sizeof(slot->number), "%.2f",
		 strtod(t->s, NULL));
	slot->s = slot->number;
	slot->len = strlen(slot->number);
}

/* A member that stands there twice is the parser's: the later one counts. */
static bool
scan_wanted(struct scan *s, int first, int second)
{
	struct text t;

	if ((first != -1 && s->slots[first].s) ||
	    (second != -1 && s->slots[second].s) || !scan_text(s, &t))
		return false;
	if (first != -1)
		put(&s->slots[first], &t);
	if (second != -1)
		put(&s->slots[second], &t);
	return true;
}

static int
wanted(const struct scan *s, enum cdr_place place, const struct text *name)
{
	size_t at;

	return find(s->sources, place, name->s, name->len, &at);
}

/* The slots of a room's member; false when there is none. */
static bool
find_slots(const struct scan *s, enum room room, const struct text *name,
	   int *first, int *second)
{
	*first = *second = -1;
	switch (room) {
	case VARIABLES:
		*first = wanted(s, CDR_IN_VARIABLES, name);
		break;
	case PROFILE:
		if (s->flow == 1)
			*first = wanted(s, CDR_IN_FIRST, name);
		*second = wanted(s, CDR_IN_LAST, name);
		break;
	case TIMES:
		if (s->flow == 1)
			*first = wanted(s, CDR_IN_TIMES, name);
		break;
	case CHANNEL_DATA:
		*first = wanted(s, CDR_IN_CHANNEL_DATA, name);
		break;
	case INBOUND:
		*first = wanted(s, CDR_IN_CALL_STATS, name);
		break;
	case TOP:
		*first = wanted(s, CDR_IN_TOP, name);
		break;
	default:
		break;
	}
	return *first != -1 || *second != -1;
}

static const struct door *
find_door(enum room room, const struct text *name)
{
	for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++)
		if (doors[i].from == room && is(name, doors[i].name))
			return &doors[i];
	return NULL;
}

static bool
scan_door(struct scan *s, const struct door *door)
{
	if (s->seen & 1u << door->to)
		return false;
	s->seen |= 1u << door->to;
	if (s->p < s->end && *s->p == (door->is_list ? '[' : '{'))
		return scan_value(s, door->to);
	/* the parser knows what it means that there is none */
	return door->to != VARIABLES && scan_value(s, ELSEWHERE);
}

static bool
scan_application(struct scan *s, const struct text *name)
{
	if (is(name, "app_name")) {
		if (s->has_app_name || !scan_text(s, &s->name))
			return false;
		s->has_app_name = true;
		return !s->name.escaped;
	}
	if (is(name, "app_data")) {
		if (s->has_app_data || !scan_text(s, &s->data))
			return false;
		s->has_app_data = true;
		return true;
	}
	return scan_value(s, ELSEWHERE);
}

/* --- structure -------------------------------------------------------- */

static bool
scan_member(struct scan *s, enum room room)
{
	const struct door *door;
	struct text name;
	int first, second;

	skip_space(s);
	if (!scan_string(s, &name))
		return false;
	skip_space(s);
	if (!take(s, ':'))
		return false;
	skip_space(s);
	/* an escape might spell one of our names, or a NUL */
	if (name.escaped || name.unicode)
		return false;
	if (room == ELSEWHERE)
		return scan_value(s, ELSEWHERE);
	if (room == APPLICATION)
		return scan_application(s, &name);
	if (find_slots(s, room, &name, &first, &second))
		return scan_wanted(s, first, second);
	door = room == VARIABLES ? NULL : find_door(room, &name);
	return door ? scan_door(s, door) : scan_value(s, ELSEWHERE);
}

static void
forget(struct scan *s, enum cdr_place place)
{
	for (size_t i = 0; i < s->sources->count; i++)
		if (s->sources->wanted[i].place == place)
			s->slots[i].s = NULL;
}

/* An entry of a list. */
static bool
scan_entry(struct scan *s, enum room list)
{
	int slot;

	if (list == CALLFLOW) {
		s->flow++;
		forget(s, CDR_IN_LAST);
		s->seen &= ~(1u << PROFILE | 1u << TIMES);
		return scan_value(s, FLOW);
	}
	if (list != APPLICATIONS)
		return scan_value(s, ELSEWHERE);
	s->has_app_name = s->has_app_data = false;
	s->name = s->data = (struct text){ .s = NULL };
	if (!scan_value(s, APPLICATION))
		return false;
	slot = s->name.s ? wanted(s, CDR_IN_APPLICATIONS, &s->name) : -1;
	if (slot != -1)
		put(&s->slots[slot], &s->data);
	return true;
}

static bool
scan_list(struct scan *s, enum room room, bool is_object)
{
	char close = is_object ? '}' : ']';

	s->p++;
	skip_space(s);
	if (take(s, close))
		return true;
	for (;;) {
		if (is_object ? !scan_member(s, room) : !scan_entry(s, room))
			return false;
		skip_space(s);
		if (take(s, close))
			return true;
		if (!take(s, ','))
			return false;
	}
}

static bool
scan_value(struct scan *s, enum room room)
{
	struct text t;
	bool ok;

	skip_space(s);
	if (s->p == s->end || s->depth == MAX_DEPTH)
		return false;
	switch (*s->p) {
	case '"':
		return scan_string(s, &t);
	case '{':
	case '[':
		s->depth++;
		ok = scan_list(s, room, *s->p == '{');
		s->depth--;
		return ok;
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

bool
cdr_scan(const struct cdr_sources *t, struct cdr_slot *slots, const char *text,
	 size_t len)
{
	struct scan s = {
		.sources = t, .slots = slots, .p = text, .end = text + len
	};

	for (size_t i = 0; i < t->count; i++)
		slots[i].s = NULL;
	if (len == 0 || *text != '{' || !scan_value(&s, TOP))
		return false;
	skip_space(&s);
	return s.p == s.end && s.seen & 1u << VARIABLES;
}
