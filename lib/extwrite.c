/* The verbs add and set, and what an extension has to do with its user. */
#include <stdio.h>
#include <string.h>

#include "extcommand.h"

/* --- an extension and its user ---------------------------------------- */

static bool
is_extension(const struct ext_command *c)
{
	return strcmp(c->entity->name, "extension") == 0;
}

static void
append(struct ext_command *c, const char *field, const char *value)
{
	if (c->n < EXT_VALUES)
		c->values[c->n++] = (struct entity_value){
			entity_field_find(c->entity, field), value
		};
}

const char *
ext_implied_type(const struct ext_command *c)
{
	if (c->user_n)
		return "user";
	for (size_t i = 0; i < c->n; i++) {
		const struct entity_field *f = c->values[i].field;

		if (f->type != ENTITY_REFERENCE ||
		    strcmp(f->name, "recording_policy") == 0)
			continue;
		return strcmp(f->name, "trunk") == 0 ? "trunk_out" : f->name;
	}
	return NULL;
}

/* A user's number without `user=` comes with a user of that name. */
static int
plan_user(struct ext_command *c, struct verr *e)
{
	const struct entity_value *type = ext_value(c, "type");
	const char *implied = ext_implied_type(c);

	if (!type && implied)
		append(c, "type", implied);
	type = ext_value(c, "type");
	c->user_made = type && strcmp(type->value, "user") == 0 &&
		       !ext_value(c, "user");
	if (c->user_n && ext_value(c, "user"))
		return verr_set(e, VERR_USAGE,
				"'%s' is a field of the user\n"
				"hint: voip-ext user set ...",
				c->user_values[0].field->name);
	return 0;
}

static int
add_user(struct db *db, struct ext_command *c, struct verr *e)
{
	if (entity_add(db, entity_find("user"), &c->key, c->user_values,
		       c->user_n, e) == -1) {
		if (e->kind == VERR_CONFLICT)
			verr_add(e, "\nhint: user=%s uses it", c->key.name);
		return -1;
	}
	append(c, "user", c->key.name);
	return 0;
}

int
ext_user_of(struct db *db, const struct ext_command *c, struct entity_key *user,
	    struct verr *e)
{
	struct db_result *r = NULL;
	const char *name;
	int rc = -1, column = 1;

	for (const struct entity_field *f = c->entity->fields + 1; f->name; f++)
		if (strcmp(f->name, "user") == 0)
			column = (int)(f - c->entity->fields);
	if (entity_list(db, &r, c->entity, NULL, &c->key, NULL, 0, e) == -1)
		return -1;
	name = db_rows(r) ? db_value(r, 0, column) : NULL;
	*user = c->key;
	if (name) {
		snprintf(user->name, sizeof(user->name), "%s", name);
		rc = 0;
	} else if (db_rows(r)) {
		verr_set(e, VERR_NOTFOUND, "extension '%s' has no user",
			 c->key_text);
	} else {
		verr_set(e, VERR_NOTFOUND, "extension '%s' does not exist",
			 c->key_text);
	}
	db_result_free(r);
	return rc;
}

/* --- add -------------------------------------------------------------- */

static int
missing_field(const struct ext_command *c, const struct entity_field *f,
	      struct verr *e)
{
	verr_set(e, VERR_USAGE, "%s '%s' needs the field '%s'", c->entity->name,
		 c->key_text, f->name);
	if (is_extension(c))
		return verr_add(e, "\nhint: password=random makes a user for "
				   "it; queue=NAME, ivr=NAME or trunk=NAME "
				   "make it lead there");
	return verr_add(e, "\nhint: 'voip-ext fields %s' lists them",
			c->entity->name);
}

int
ext_add_begin(struct db *db, struct ext_command *c, struct verr *e)
{
	if (c->template && ext_template(db, c, e) == -1)
		return -1;
	if (is_extension(c) && plan_user(c, e) == -1)
		return -1;
	for (const struct entity_field *f = c->entity->fields; f->name; f++)
		if (f->flags & ENTITY_REQUIRED && !ext_value(c, f->name))
			return missing_field(c, f, e);
	return 0;
}

int
ext_add_end(struct db *db, struct ext_command *c, struct verr *e)
{
	if (c->user_made && add_user(db, c, e) == -1)
		return -1;
	if (ext_make_secrets(c, e) == -1)
		return -1;
	return entity_add(db, c->entity, &c->key, c->values, c->n, e);
}

int
ext_add(struct db *db, struct ext_command *c, struct verr *e)
{
	if (c->range)
		return ext_range_add(db, c, e);
	return ext_add_begin(db, c, e) == 0 ? ext_add_end(db, c, e) : -1;
}

/* --- set -------------------------------------------------------------- */

int
ext_set(struct db *db, struct ext_command *c, struct verr *e)
{
	struct entity_key user;

	if (c->n + c->user_n == 0)
		return verr_set(e, VERR_USAGE,
				"nothing to set\n"
				"hint: give FIELD=VALUE");
	if (c->user_n && (ext_user_of(db, c, &user, e) == -1 ||
			  entity_set(db, entity_find("user"), &user,
				     c->user_values, c->user_n, e) == -1))
		return -1;
	return c->n ? entity_set(db, c->entity, &c->key, c->values, c->n, e)
		    : 0;
}
