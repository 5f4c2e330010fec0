#include "entity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confvalue.h"

const struct entity *
entity_find(const char *name)
{
	for (const struct entity *t = entities; t->name; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

const struct entity_field *
entity_field_find(const struct entity *t, const char *name)
{
	for (const struct entity_field *f = t->fields; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

const char *
entity_field_suggest(const struct entity *t, const char *name)
{
	unsigned best = (unsigned)strlen(name) / 3 + 2, distance;
	const char *found = NULL;

	for (const struct entity_field *f = t->fields; f->name; f++) {
		distance = conf_value_distance(name, f->name);
		if (distance < best) {
			best = distance;
			found = f->name;
		}
	}
	return found;
}

const char *
entity_type_name(enum entity_type type)
{
	static const char *const names[] = {
		[ENTITY_TEXT] = "text",
		[ENTITY_INT] = "number",
		[ENTITY_BOOL] = "true|false",
		[ENTITY_CHOICE] = "choice",
		[ENTITY_JSON] = "json",
		[ENTITY_TIME] = "time",
		[ENTITY_CIDR] = "network",
		[ENTITY_CIDRS] = "networks",
		[ENTITY_REFERENCE] = "reference",
		[ENTITY_PASSWORD] = "password",
		[ENTITY_SEALED] = "secret",
		[ENTITY_HASHED] = "secret",
	};

	return names[type];
}

bool
entity_is_secret(const struct entity_field *f)
{
	return f->type == ENTITY_PASSWORD || f->type == ENTITY_SEALED ||
	       f->type == ENTITY_HASHED;
}

/* --- keys ------------------------------------------------------------- */

static int
copy_part(char *to, size_t size, const char *from, size_t len,
	  const struct entity *t, const char *text, struct verr *e)
{
	if (len == 0 || len >= size)
		return verr_set(e, VERR_INPUT, "'%s' is no key of %s %s", text,
				strchr("aeiou", t->name[0]) ? "an" : "a",
				t->name);
	memcpy(to, from, len);
	to[len] = '\0';
	return 0;
}

static int
key_syntax(const struct entity *t, const char *text, const char *missing,
	   struct verr *e)
{
	return verr_set(e, VERR_INPUT,
			"'%s' names no %s\n"
			"hint: a key of '%s' is %s%s%s",
			text, missing, t->name, t->parent ? t->parent : "",
			t->parent ? "/" : "",
			t->in_domain ? "NAME@DOMAIN" : "NAME");
}

/*
 * The domain is after the last '@', the parent before the last '/': names of
 * people's choice may hold both, users and digits hold neither.
 */
int
entity_key_parse(struct entity_key *key, const struct entity *t,
		 const char *text, struct verr *e)
{
	const char *name = text, *end = text + strlen(text), *p;

	*key = (struct entity_key){ "", "", "" };
	if (t->in_domain) {
		p = strrchr(text, '@');
		if (!p || !p[1])
			return key_syntax(t, text, "domain", e);
		if (copy_part(key->domain, sizeof(key->domain), p + 1,
			      strlen(p + 1), t, text, e) == -1 ||
		    valid_domain(key->domain, e) == -1)
			return -1;
		end = p;
	}
	if (t->parent) {
		p = memrchr(text, '/', (size_t)(end - text));
		if (!p || p == text)
			return key_syntax(t, text, t->parent, e);
		if (copy_part(key->parent, sizeof(key->parent), text,
			      (size_t)(p - text), t, text, e) == -1)
			return -1;
		name = p + 1;
	}
	if (copy_part(key->name, sizeof(key->name), name, (size_t)(end - name),
		      t, text, e) == -1)
		return -1;
	return t->fields->check ? t->fields->check(key->name, e) : 0;
}

void
entity_key_format(struct buf *out, const struct entity *t,
		  const struct entity_key *key)
{
	if (t->parent)
		buf_printf(out, "%s/", key->parent);
	buf_puts(out, key->name);
	if (t->in_domain)
		buf_printf(out, "@%s", key->domain);
}

/* --- values ----------------------------------------------------------- */

static bool
is_word(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (; *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == len && memcmp(words, word, n) == 0)
			return true;
	}
	return false;
}

static int
check_number(const struct entity_field *f, const char *value, struct verr *e)
{
	long min = 0, max = INT32_MAX, n;
	char *end;

	if (f->words) {
		min = strtol(f->words, &end, 10);
		max = strtol(end + strlen(".."), NULL, 10);
	}
	errno = 0;
	n = strtol(value, &end, 10);
	/* strtol() takes more forms than one number should have. */
	if (!strchr("-0123456789", *value) || end == value || *end || errno ||
	    n < min || n > max)
		return verr_set(e, VERR_INPUT,
				"'%s' is not a number from %ld to %ld", value,
				min, max);
	return 0;
}

static int
check_each(const char *list, valid_fn check, struct verr *e)
{
	char part[64];

	for (size_t n; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n >= sizeof(part))
			return verr_set(e, VERR_INPUT, "'%s' is not a network",
					list);
		memcpy(part, list, n);
		part[n] = '\0';
		if (check(part, e) == -1)
			return -1;
	}
	return 0;
}

static int
check_type(const struct entity_field *f, const char *value, struct verr *e)
{
	switch (f->type) {
	case ENTITY_INT:
		return check_number(f, value, e);
	case ENTITY_BOOL:
		return valid_bool(value, e);
	case ENTITY_CHOICE:
		if (!is_word(f->words, value))
			return verr_set(e, VERR_INPUT, "'%s' is none of: %s",
					value, f->words);
		return 0;
	case ENTITY_CIDRS:
		return check_each(value, f->check, e);
	default:
		return f->check ? f->check(value, e) : 0;
	}
}

int
entity_check(const struct entity *t, const struct entity_value *v,
	     struct verr *e)
{
	const struct entity_field *f = v->field;

	if (f->flags & ENTITY_READONLY)
		return verr_set(e, VERR_USAGE,
				"field '%s' of '%s' cannot be written", f->name,
				t->name);
	if (!*v->value) {
		if (f->flags & (ENTITY_REQUIRED | ENTITY_MADE) ||
		    f == t->fields)
			return verr_set(e, VERR_INPUT,
					"field '%s' of '%s' cannot be empty",
					f->name, t->name);
		return 0;
	}
	if (check_type(f, v->value, e) == 0)
		return 0;
	return verr_wrap(e, "field '%s' of '%s'", f->name, t->name);
}
