/* "template=1001": what a new one takes from another of its domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entityquery.h"
#include "extcommand.h"

static bool
is_given(const struct entity_value *values, size_t n,
	 const struct entity_field *f)
{
	for (size_t i = 0; i < n; i++)
		if (values[i].field == f)
			return true;
	return false;
}

/* What makes an extension the sort that it is. */
static bool
is_of_type(const struct entity_field *f)
{
	return strcmp(f->name, "type") == 0 ||
	       strcmp(f->name, "need_media") == 0 ||
	       (f->type == ENTITY_REFERENCE &&
		strcmp(f->name, "recording_policy") != 0);
}

static int
copy_values(struct ext_command *c, const struct entity_query *q,
	    const struct db_result *r, bool with_type,
	    struct entity_value *values, size_t *n, struct verr *e)
{
	const unsigned never = ENTITY_READONLY | ENTITY_OWN;

	for (size_t i = 1; i < q->ncolumns; i++) {
		const struct entity_field *f = q->columns[i].field;
		const char *value = db_value(r, 0, (int)i);
		char *copy;

		if (!value || !*value || f->flags & never ||
		    entity_is_secret(f) || is_given(values, *n, f) ||
		    (!with_type && is_of_type(f)) || *n == EXT_VALUES)
			continue;
		copy = strdup(value);
		if (!copy)
			return verr_set(e, VERR_RETRY, "out of memory");
		c->copied[c->ncopied++] = copy;
		values[(*n)++] = (struct entity_value){ f, copy };
	}
	return 0;
}

static const char *
value_of(const struct entity_query *q, const struct db_result *r,
	 const char *field)
{
	for (size_t i = 0; i < q->ncolumns; i++)
		if (strcmp(q->columns[i].name, field) == 0)
			return db_value(r, 0, (int)i);
	return NULL;
}

/* The row, which is there; free `*r`. */
static int
look_up(struct db *db, struct entity_query *q, const struct entity *t,
	const struct entity_key *key, struct db_result **r, struct verr *e)
{
	struct buf text = BUF_INIT;
	int rc;

	entity_query_init(q, t);
	q->key = key;
	rc = entity_query_run(db, r, q, e);
	if (rc == 0 && !db_rows(*r)) {
		entity_key_format(&text, t, key);
		rc = verr_set(e, VERR_INPUT,
			      "the template, %s '%s', does not exist", t->name,
			      text.data);
		buf_release(&text);
	}
	return rc;
}

static int
copy_user(struct db *db, struct ext_command *c, struct entity_key key,
	  const char *name, struct verr *e)
{
	struct entity_query q;
	struct db_result *r = NULL;
	int rc;

	snprintf(key.name, sizeof(key.name), "%s", name);
	rc = look_up(db, &q, entity_find("user"), &key, &r, e);
	if (rc == 0)
		rc = copy_values(c, &q, r, true, c->user_values, &c->user_n, e);
	db_result_free(r);
	return rc;
}

static int
copy_extension(struct db *db, struct ext_command *c,
	       const struct entity_query *q, const struct db_result *r,
	       const struct entity_key *key, struct verr *e)
{
	const struct entity_value *given = ext_value(c, "type");
	const char *type = value_of(q, r, "type");
	const char *wanted = given ? given->value : ext_implied_type(c);
	const char *user = value_of(q, r, "user");
	bool same = !wanted || strcmp(wanted, type) == 0;

	/* The new one has a user of its own, made after the template's. */
	if (same && user && !ext_value(c, "user") &&
	    copy_user(db, c, *key, user, e) == -1)
		return -1;
	if (copy_values(c, q, r, same && !user, c->values, &c->n, e) == -1)
		return -1;
	if (same && user && !given && !ext_value(c, "user"))
		c->values[c->n++] = (struct entity_value){
			entity_field_find(c->entity, "type"), "user"
		};
	return 0;
}

int
ext_template(struct db *db, struct ext_command *c, struct verr *e)
{
	const struct entity *t = c->entity;
	struct buf text = BUF_INIT;
	struct entity_query q;
	struct db_result *r = NULL;
	struct entity_key key;
	int rc;

	buf_puts(&text, c->template);
	if (t->in_domain && !strchr(c->template, '@'))
		buf_printf(&text, "@%s", c->key.domain);
	rc = entity_key_parse(&key, t, text.data, e);
	if (rc == 0 && strcmp(key.domain, c->key.domain) != 0)
		rc = verr_set(e, VERR_INPUT,
			      "the template '%s' is of another domain than "
			      "'%s'",
			      text.data, c->key.domain);
	if (rc == 0)
		rc = look_up(db, &q, t, &key, &r, e);
	if (rc == 0 && strcmp(t->name, "extension") == 0)
		rc = copy_extension(db, c, &q, r, &key, e);
	else if (rc == 0)
		rc = copy_values(c, &q, r, true, c->values, &c->n, e);
	db_result_free(r);
	buf_release(&text);
	return rc;
}
