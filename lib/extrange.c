/*
 * Many numbers in one command: "1000-1999@pbx.example.com".  A new range is
 * one row with every check, and clones of it; other verbs take each number
 * that there is in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entityclone.h"
#include "entityquery.h"
#include "extcommand.h"
#include "hash.h"
#include "progress.h"
#include "valid.h"

/* As many as one transaction and its change set should hold. */
#define RANGE_MAX   10000
#define PLACEHOLDER "{number}"

const char ext_random[] = "random";

/* --- which numbers ---------------------------------------------------- */

void
ext_range_free(struct ext_range *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nexpanded; i++)
		free(r->expanded[i]);
	if (r->secrets)
		hash_wipe(r->secrets, r->n * sizeof(*r->secrets));
	free(r->secrets);
	free(r->names);
	free(r);
}

static bool
has_ranges(const struct entity *t)
{
	return t->in_domain && !t->parent &&
	       (t->fields->check == valid_extension ||
		t->fields->check == valid_username);
}

static int
range_new(struct ext_command *c, unsigned long first, size_t digits, size_t n,
	  struct verr *e)
{
	struct ext_range *r = calloc(1, sizeof(*r));

	c->range = r;
	if (r)
		r->names = calloc(n, sizeof(*r->names));
	if (r && r->names)
		r->secrets = calloc(n, sizeof(*r->secrets));
	if (!r || !r->names || !r->secrets)
		return verr_set(e, VERR_RETRY, "out of memory");
	r->n = n;
	for (size_t i = 0; i < n; i++)
		snprintf(r->names[i], sizeof(r->names[i]), "%0*lu", (int)digits,
			 first + (unsigned long)i);
	return 0;
}

int
ext_range_parse(struct ext_command *c, struct verr *e)
{
	const char *name = c->key.name;
	size_t digits = strspn(name, "0123456789"), more;
	unsigned long first, last;

	if (!has_ranges(c->entity) || !digits || name[digits] != '-')
		return 0;
	more = strspn(name + digits + 1, "0123456789");
	if (!more || name[digits + 1 + more])
		return 0;
	if (more != digits || digits >= EXT_NUMBER)
		return verr_set(e, VERR_INPUT,
				"the ends of the range '%s' have not as many "
				"digits\nhint: 001-100",
				name);
	first = strtoul(name, NULL, 10);
	last = strtoul(name + digits + 1, NULL, 10);
	if (last < first)
		return verr_set(e, VERR_INPUT,
				"the range '%s' ends before it begins", name);
	if (last - first >= RANGE_MAX)
		return verr_set(e, VERR_INPUT,
				"the range '%s' has %lu numbers; %d are the "
				"most of one command",
				name, last - first + 1, RANGE_MAX);
	return range_new(c, first, digits, last - first + 1, e);
}

/* --- what each number gets -------------------------------------------- */

bool
ext_range_varies(const char *value)
{
	return value == ext_random || strstr(value, PLACEHOLDER);
}

/* The caller frees it. */
static char *
expand(const char *value, const char *number, struct verr *e)
{
	struct buf b = BUF_INIT;
	const char *p;
	char *text;

	for (; (p = strstr(value, PLACEHOLDER));
	     value = p + strlen(PLACEHOLDER)) {
		buf_add(&b, value, (size_t)(p - value));
		buf_puts(&b, number);
	}
	buf_puts(&b, value);
	text = buf_detach(&b);
	if (!text)
		verr_set(e, VERR_RETRY, "out of memory");
	return text;
}

static int
fill(struct ext_command *c, size_t i, const struct entity *t,
     struct entity_value *values, size_t n, struct verr *e)
{
	struct ext_range *r = c->range;

	for (size_t k = 0; k < n; k++) {
		char *text;

		if (values[k].value == ext_random) {
			values[k].value = r->secrets[i];
			continue;
		}
		if (!ext_range_varies(values[k].value))
			continue;
		text = expand(values[k].value, r->names[i], e);
		if (!text)
			return -1;
		r->expanded[r->nexpanded++] = text;
		values[k].value = text;
		if (entity_check(t, c->key_text, &values[k], e) == -1)
			return -1;
	}
	return 0;
}

/* Make the command the one of a single number. */
static int
take_number(struct ext_command *c, size_t i, struct verr *e)
{
	struct ext_range *r = c->range;
	struct buf text = BUF_INIT;

	for (size_t k = 0; k < r->nexpanded; k++)
		free(r->expanded[k]);
	r->nexpanded = 0;
	memcpy(c->values, r->values, sizeof(r->values));
	memcpy(c->user_values, r->user_values, sizeof(r->user_values));
	c->n = r->values_n;
	c->user_n = r->user_values_n;
	snprintf(c->key.name, sizeof(c->key.name), "%s", r->names[i]);
	entity_key_format(&text, c->entity, &c->key);
	snprintf(c->key_text, sizeof(c->key_text), "%s", text.data);
	buf_release(&text);
	if (fill(c, i, c->entity, c->values, c->n, e) == -1)
		return -1;
	return fill(c, i, entity_find("user"), c->user_values, c->user_n, e);
}

/* Keep what was written, and make the secrets that it asks for. */
static int
prepare(struct ext_command *c, struct verr *e)
{
	struct ext_range *r = c->range;

	memcpy(r->values, c->values, sizeof(r->values));
	memcpy(r->user_values, c->user_values, sizeof(r->user_values));
	r->values_n = c->n;
	r->user_values_n = c->user_n;
	for (size_t i = 0; r->random && i < r->n; i++)
		if (account_random(r->secrets[i], e) == -1)
			return -1;
	return 0;
}

static int
existing(struct db *db, const struct ext_command *c, const struct entity *t,
	 struct db_result **found, struct verr *e)
{
	const struct ext_range *r = c->range;
	const char **names = calloc(r->n, sizeof(*names));
	int rc;

	*found = NULL;
	if (!names)
		return verr_set(e, VERR_RETRY, "out of memory");
	for (size_t i = 0; i < r->n; i++)
		names[i] = r->names[i];
	rc = entity_existing(db, found, t, c->key.domain, names, r->n, e);
	free(names);
	return rc;
}

/* --- add -------------------------------------------------------------- */

static int
refuse_existing(struct db *db, const struct ext_command *c,
		const struct entity *t, struct verr *e)
{
	struct db_result *found;
	int rows, rc = existing(db, c, t, &found, e);

	rows = rc == 0 ? db_rows(found) : 0;
	if (rows) {
		rc = verr_set(e, VERR_CONFLICT, "%s", t->name);
		for (int i = 0; i < rows && i < 3; i++)
			verr_add(e, "%s '%s@%s'", i ? "," : "",
				 db_value(found, i, 0), c->key.domain);
		if (rows > 3)
			verr_add(e, " and %d more", rows - 3);
		verr_add(e, " exist%s already; nothing was added",
			 rows == 1 ? "s" : "");
	}
	db_result_free(found);
	return rc;
}

/* Fields of the rows to come, from the second number on. */
struct varying {
	struct entity_varying fields[EXT_VALUES];
	size_t n;
	char **texts[EXT_VALUES];
	size_t ntexts;
};

static void
varying_release(struct varying *v, size_t rows)
{
	for (size_t k = 0; k < v->ntexts; k++) {
		for (size_t i = 0; i < rows && v->texts[k][i]; i++) {
			hash_wipe(v->texts[k][i], strlen(v->texts[k][i]));
			free(v->texts[k][i]);
		}
		free(v->texts[k]);
	}
}

static int
add_varying(struct varying *v, const struct ext_range *r,
	    const struct entity_value *value, struct verr *e)
{
	char **texts = calloc(r->n, sizeof(*texts));

	if (!texts)
		return verr_set(e, VERR_RETRY, "out of memory");
	v->texts[v->ntexts++] = texts;
	for (size_t i = 0; i < r->n; i++) {
		texts[i] = value->value == ext_random
				   ? strdup(r->secrets[i])
				   : expand(value->value, r->names[i], e);
		if (!texts[i])
			return verr_set(e, VERR_RETRY, "out of memory");
	}
	v->fields[v->n++] =
		(struct entity_varying){ value->field,
					 (const char *const *)texts };
	return 0;
}

static int
collect_varying(struct varying *v, const struct ext_range *r,
		const struct entity_value *values, size_t n, struct verr *e)
{
	for (size_t i = 0; i < n; i++)
		/* A password, even one for all, is hashed with the name. */
		if ((ext_range_varies(values[i].value) ||
		     values[i].field->type == ENTITY_PASSWORD) &&
		    *values[i].value && add_varying(v, r, &values[i], e) == -1)
			return -1;
	return 0;
}

static int
clone_part(struct db *db, const struct ext_command *c, const struct entity *t,
	   const struct varying *v, size_t at, size_t n, struct verr *e)
{
	struct entity_varying part[EXT_VALUES];
	const char *names[ENTITY_CLONES];

	for (size_t i = 0; i < n; i++)
		names[i] = c->range->names[at + i];
	for (size_t k = 0; k < v->n; k++) {
		part[k] = v->fields[k];
		if (part[k].values)
			part[k].values += at;
	}
	return entity_clone(db, t, &c->key, names, n, part, v->n, e);
}

static int
clone_all(struct db *db, const struct ext_command *c, const struct entity *t,
	  const struct varying *v, struct progress *p, struct verr *e)
{
	size_t n;

	for (size_t at = 1; at < c->range->n; at += n) {
		n = c->range->n - at;
		if (n > ENTITY_CLONES)
			n = ENTITY_CLONES;
		if (clone_part(db, c, t, v, at, n, e) == -1)
			return verr_wrap(e, "%s %s to %s", t->name,
					 c->range->names[at],
					 c->range->names[at + n - 1]);
		progress_add(p, n);
	}
	return 0;
}

static int
clone_rows(struct db *db, struct ext_command *c, struct verr *e)
{
	const struct entity *user = entity_find("user");
	const struct ext_range *r = c->range;
	struct varying mine = { .n = 0 }, users = { .n = 0 };
	struct progress p;
	int rc;

	progress_begin(&p, "add", "rows", (r->n - 1) * (1 + c->user_made));
	rc = collect_varying(&mine, r, r->values, r->values_n, e);
	if (rc == 0)
		rc = collect_varying(&users, r, r->user_values,
				     r->user_values_n, e);
	if (rc == 0 && c->user_made) {
		mine.fields[mine.n++] = (struct entity_varying){
			entity_field_find(c->entity, "user"), NULL
		};
		rc = clone_all(db, c, user, &users, &p, e);
	}
	if (rc == 0)
		rc = clone_all(db, c, c->entity, &mine, &p, e);
	progress_end(&p);
	varying_release(&mine, r->n);
	varying_release(&users, r->n);
	return rc;
}

int
ext_range_add(struct db *db, struct ext_command *c, struct verr *e)
{
	if (prepare(c, e) == -1 || refuse_existing(db, c, c->entity, e) == -1 ||
	    take_number(c, 0, e) == -1 || ext_add_begin(db, c, e) == -1)
		return -1;
	if (c->user_made &&
	    refuse_existing(db, c, entity_find("user"), e) == -1)
		return -1;
	return ext_add_end(db, c, e) == 0 ? clone_rows(db, c, e) : -1;
}

/* --- other verbs ------------------------------------------------------ */

int
ext_range_each(struct db *db, const struct ext_verb *verb,
	       struct ext_command *c, struct verr *e)
{
	struct ext_range *r = c->range;
	char whole[sizeof(c->key_text)];
	struct db_result *found;
	struct progress p;
	size_t i = 0;
	int rows, rc = -1;

	snprintf(whole, sizeof(whole), "%s", c->key_text);
	if (prepare(c, e) == -1 || existing(db, c, c->entity, &found, e) == -1)
		return -1;
	rows = db_rows(found);
	progress_begin(&p, verb->name, "rows", (uint64_t)rows);
	if (rows)
		rc = 0;
	else
		verr_set(e, VERR_NOTFOUND, "no %s of '%s' exists",
			 c->entity->name, whole);
	for (int row = 0; row < rows && rc == 0; row++) {
		/* Both are in order: digits sort as numbers do. */
		while (strcmp(r->names[i], db_value(found, row, 0)) != 0)
			r->names[i++][0] = '\0';
		rc = take_number(c, i++, e);
		if (rc == 0)
			rc = verb->run(db, c, e);
		progress_add(&p, 1);
	}
	for (; i < r->n; i++)
		r->names[i][0] = '\0';
	progress_end(&p);
	db_result_free(found);
	return rc;
}
