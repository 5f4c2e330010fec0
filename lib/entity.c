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
		return verr_set(e, VERR_INPUT, "'%s' is no key of %s %s",
				valid_show(text).text,
				strchr("aeio", t->name[0]) ? "an" : "a",
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
			valid_show(text).text, missing, t->name,
			t->parent ? t->parent : "", t->parent ? "/" : "",
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
				"'%s' is not a number from %ld to %ld",
				valid_show(value).text, min, max);
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
					valid_show(list).text);
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
					valid_show(value).text, f->words);
		return 0;
	case ENTITY_CIDRS:
		return check_each(value, f->check, e);
	default:
		return f->check ? f->check(value, e) : 0;
	}
}

/* " of user '1001@...'" */
static void
put_owner(struct buf *b, const struct entity *t, const char *key)
{
	if (!key)
		buf_printf(b, " of '%s'", t->name);
	else if (*key)
		buf_printf(b, " of %s '%s'", t->name, valid_show(key).text);
}

int
entity_check(const struct entity *t, const char *key,
	     const struct entity_value *v, struct verr *e)
{
	const struct entity_field *f = v->field;
	struct buf owner = BUF_INIT;
	int rc = -1;

	put_owner(&owner, t, key);
	if (f->flags & ENTITY_READONLY)
		verr_set(e, VERR_USAGE, "field '%s'%s cannot be written",
			 f->name, owner.data ? owner.data : "");
	else if (*v->value && check_type(f, v->value, e) == 0)
		rc = 0;
	else if (*v->value)
		verr_wrap(e, "field '%s'%s", f->name,
			  owner.data ? owner.data : "");
	else if (f->flags & (ENTITY_REQUIRED | ENTITY_MADE) || f == t->fields)
		verr_set(e, VERR_INPUT, "field '%s'%s cannot be empty", f->name,
			 owner.data ? owner.data : "");
	else
		rc = 0;
	buf_release(&owner);
	return rc;
}
