#include "cdrraw.h"

#include <stdbool.h>
#include <string.h>

#include "form.h"

struct span {
	const char *s;
	size_t len;
};

#define MAX_ASKED 16

struct text {
	const char *at;
	const char *end;
	struct span asked[MAX_ASKED]; /* variables that dialled digits are in */
	size_t asked_count;
	struct buf plain;
};

static const struct word {
	const char *word;
	size_t len;
	bool whole;
} words[] = {
#define PART                  false
#define WORD                  true
#define WORD_ROW(whole, word) { word, sizeof(word) - 1, whole },
	CDRRAW_WORDS(WORD_ROW)
#undef WORD_ROW
#undef PART
#undef WORD
};

/* --- names ------------------------------------------------------------ */

static char
fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '-' ? '_' : c;
}

static bool
is_alnum(char c)
{
	c = fold(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool
is_word_at(const struct word *w, const struct span *name, size_t at)
{
	if (w->len > name->len - at)
		return false;
	for (size_t i = 0; i < w->len; i++)
		if (fold(name->s[at + i]) != w->word[i])
			return false;
	return !w->whole ||
	       ((at == 0 || !is_alnum(name->s[at - 1])) &&
		(at + w->len == name->len || !is_alnum(name->s[at + w->len])));
}

static bool
is_same(const struct span *a, const char *s, size_t len)
{
	return a->len == len && memcmp(a->s, s, len) == 0;
}

/* Kinds of bytes: what words begin with, which few letters do, and what the
 * secrets within values need. */
enum { BEGINS_WORD = 1, IN_SECRET = 2 };

static unsigned char kinds[256];

static void
make_kinds(void)
{
	if (kinds['='])
		return;
	for (int c = 0; c < 256; c++)
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (fold((char)c) == words[i].word[0])
				kinds[c] |= BEGINS_WORD;
	kinds['='] |= IN_SECRET;
	kinds[':'] |= IN_SECRET;
	kinds['@'] |= IN_SECRET;
	kinds['%'] |= IN_SECRET;
}

/* The first byte of that kind from `at` on, or the length. */
static size_t
find_kind(const struct span *s, size_t at, int kind)
{
	while (at < s->len && !(kinds[(unsigned char)s->s[at]] & kind))
		at++;
	return at;
}

/* A name that is written with escapes hides something. */
static bool
is_secret(const struct text *t, const struct span *name)
{
	if (memchr(name->s, '\\', name->len))
		return true;
	for (size_t at = find_kind(name, 0, BEGINS_WORD); at < name->len;
	     at = find_kind(name, at + 1, BEGINS_WORD)) {
		char first = fold(name->s[at]);

		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (words[i].word[0] == first &&
			    is_word_at(&words[i], name, at))
				return true;
	}
	for (size_t i = 0; i < t->asked_count; i++)
		if (is_same(&t->asked[i], name->s, name->len))
			return true;
	return false;
}

/* --- values ----------------------------------------------------------- */

/* name=value */
static bool
assigns_secret(const struct text *t, const struct span *v)
{
	const char *end = v->s + v->len, *p = v->s;

	while ((p = memchr(p, '=', (size_t)(end - p)))) {
		struct span name = { p++, 0 };

		while (name.s > v->s &&
		       (is_alnum(name.s[-1]) || fold(name.s[-1]) == '_')) {
			name.s--;
			name.len++;
		}
		if (name.len && is_secret(t, &name))
			return true;
	}
	return false;
}

static bool
ends_with(const char *s, const char *end, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(end - s) >= len && memcmp(end - len, word, len) == 0;
}

/* scheme://user:password@host, sip:user:password@host. */
static bool
has_password(const struct span *v)
{
	static const char *const schemes[] = { "http", "https", "ftp", "sip",
					       "sips" };
	const char *end = v->s + v->len, *p = v->s, *colon;
	bool is_scheme;

	while ((p = memchr(p, ':', (size_t)(end - p)))) {
		is_scheme = false;
		for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
			is_scheme |= ends_with(v->s, p, schemes[i]);
		p++;
		if (!is_scheme)
			continue;
		while (p < end && *p == '/')
			p++;
		for (colon = NULL; p < end && !strchr("@/<>;,| \"?", *p); p++)
			if (*p == ':')
				colon = p;
		if (colon && p < end && *p == '@')
			return true;
	}
	return false;
}

/* conference NAME@PROFILE+PIN */
static bool
has_pin(const struct span *name, const struct span *v)
{
	static const char *const given[] = { "app_data", "last_arg",
					     "current_application_data" };
	const char *at = memchr(v->s, '@', v->len);

	if (!at || !memchr(at, '+', v->len - (size_t)(at - v->s)))
		return false;
	for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++)
		if (is_same(name, given[i], strlen(given[i])))
			return true;
	return false;
}

static bool
is_secret_value(struct text *t, const struct span *name, const struct span *v)
{
	struct span plain = *v;

	if (find_kind(v, 0, IN_SECRET) == v->len)
		return false;
	if (memchr(v->s, '%', v->len)) {
		buf_clear(&t->plain);
		form_decode(&t->plain, v->s, v->len, false);
		if (buf_failed(&t->plain))
			return true;
		plain = (struct span){ t->plain.data, t->plain.len };
	}
	return memmem(plain.s, plain.len, "m=audio", 7) ||
	       assigns_secret(t, &plain) || has_password(&plain) ||
	       has_pin(name, &plain);
}

/* --- the walk --------------------------------------------------------- */

/* The string that begins at the quote `at`; behind it is text->at. */
static struct span
take_string(struct text *t)
{
	struct span s = { ++t->at, 0 };

	while ((t->at = memchr(t->at, '"', (size_t)(t->end - t->at)))) {
		const char *slash = t->at;

		while (slash > s.s && slash[-1] == '\\')
			slash--;
		if ((t->at - slash) % 2 == 0)
			break;
		t->at++;
	}
	if (!t->at)
		t->at = t->end;
	s.len = (size_t)(t->at - s.s);
	if (t->at < t->end)
		t->at++;
	return s;
}

/* To the next quote, or the end: false. */
static bool
find_string(struct text *t)
{
	t->at = memchr(t->at, '"', (size_t)(t->end - t->at));
	if (!t->at)
		t->at = t->end;
	return t->at < t->end;
}

static void
skip_space(struct text *t)
{
	while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' ||
				  *t->at == '\r' || *t->at == '\n'))
		t->at++;
}

static bool
take_colon(struct text *t)
{
	skip_space(t);
	if (t->at >= t->end || *t->at != ':')
		return false;
	t->at++;
	skip_space(t);
	return true;
}

static void
skip_value(struct text *t)
{
	int depth = 0;

	while (t->at < t->end) {
		char c = *t->at;

		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			return;
		if (c == '"') {
			take_string(t);
			continue;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		t->at++;
	}
}

/* The n-th word of what an application was given, from 1; one may be in single
 * quotes. */
static struct span
nth_word(const struct span *s, int n)
{
	struct span word = { s->s, 0 };
	const char *end = s->s + s->len;

	for (;;) {
		bool quoted = false;

		while (word.s < end && *word.s == ' ')
			word.s++;
		word.len = 0;
		while (word.s + word.len < end &&
		       (quoted || word.s[word.len] != ' '))
			quoted ^= word.s[word.len++] == '\'';
		if (--n == 0 || word.len == 0)
			return word;
		word.s += word.len;
	}
}

/* Which variables the dialplan put digits into. */
static void
find_asked(struct text *t, const char *json)
{
	static const struct {
		const char *name;
		int word;
	} applications[] = { { "play_and_get_digits", 8 }, { "read", 4 } };
	struct span name = { NULL, 0 };
	int place = 0;

	t->at = json;
	while (find_string(t)) {
		struct span s = take_string(t), value;

		if (!take_colon(t) || t->at >= t->end || *t->at != '"')
			continue;
		value = take_string(t);
		if (is_same(&s, "app_name", 8)) {
			place = 0;
			for (size_t i = 0; i < 2; i++)
				if (is_same(&value, applications[i].name,
					    strlen(applications[i].name)))
					place = applications[i].word;
		} else if (place && is_same(&s, "app_data", 8)) {
			name = nth_word(&value, place);
			place = 0;
			if (name.len && t->asked_count < MAX_ASKED)
				t->asked[t->asked_count++] = name;
		}
	}
}

void
cdr_raw(struct buf *out, const char *json, size_t len)
{
	struct text t = { .end = json + len, .plain = BUF_INIT };
	const char *kept = json; /* what is written ends here */
	struct span name, value;
	const char *start;

	make_kinds();
	if (memmem(json, len, "\"play_and_get_digits\"", 21) ||
	    memmem(json, len, "\"read\"", 6))
		find_asked(&t, json);
	t.at = json;
	while (find_string(&t)) {
		name = take_string(&t);
		if (!take_colon(&t))
			continue;
		start = t.at;
		value = (struct span){ NULL, 0 };
		if (t.at < t.end && *t.at == '"')
			value = take_string(&t);
		if (is_secret(&t, &name)) {
			t.at = start;
			skip_value(&t);
		} else if (!value.s || !is_secret_value(&t, &name, &value)) {
			continue;
		}
		buf_add(out, kept, (size_t)(start - kept));
		buf_puts(out, "\"" CDRRAW_REMOVED "\"");
		kept = t.at;
	}
	buf_add(out, kept, (size_t)(t.end - kept));
	buf_release(&t.plain);
}
