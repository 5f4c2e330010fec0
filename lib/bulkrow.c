/* A record: what it is of, its key, and its fields as they are kept. */
#include <stdio.h>
#include <string.h>

#include "bulkslot.h"

/* Note what is wrong; -1 only when that cannot be done. */
static int
wrong(struct bulk_draft *d, const struct verr *why, struct verr *e)
{
	char what[200];

	d->wrong = true;
	if (why->kind != VERR_INPUT && why->kind != VERR_USAGE) {
		*e = *why;
		return -1;
	}
	snprintf(what, sizeof(what), "%s '%s'", d->tab->t->name,
		 valid_show(d->key_text).text);
	return bulk_reject_verr(d->b, d->r, what, why, e);
}

/* --- names ------------------------------------------------------------ */

static const struct bulk_column *
find_column(const struct bulk_table *tab, const char *name)
{
	for (size_t i = 0; i < tab->ncolumns; i++)
		if (strcmp(tab->columns[i].name, name) == 0)
			return &tab->columns[i];
	return NULL;
}

static int
unknown_field(const struct entity *t, const char *name, struct verr *e)
{
	const char *like;

	if (entity_field_find(t, name))
		return verr_set(e, VERR_INPUT, "field '%s' %s", name,
				strcmp(t->fields->name, name) == 0
					? "is the key"
					: "cannot be written");
	like = entity_field_suggest(t, name);
	verr_set(e, VERR_INPUT, "'%s' has no field '%.64s'", t->name, name);
	return like ? verr_add(e, "\nhint: did you mean '%s'?", like) : -1;
}

static int
check_domain(const struct bulk_draft *d, const struct bulk_row *row,
	     struct verr *e)
{
	const char *domain = d->b->o->domain, *own = NULL;
	const struct entity *t = d->tab->t;

	if (!domain)
		return 0;
	if (t->in_domain)
		own = d->key.domain;
	else if (strcmp(t->name, "domain") == 0)
		own = d->key.name;
	for (size_t i = 0; !t->in_domain && i < row->n; i++)
		if (strcmp(row->members[i].name, "domain") == 0)
			own = row->members[i].value;
	if (own && strcmp(own, domain) == 0)
		return 0;
	return verr_set(e, VERR_INPUT, "it is not of domain '%s'", domain);
}

/* --- rows ------------------------------------------------------------- */

/* Old hashes are of no use beside new ones. */
static int
check_hashes(struct bulk_draft *d, struct verr *e)
{
	uint64_t all = 0, both = 0;

	if (strcmp(d->tab->t->name, "user") != 0)
		return 0;
	both = (uint64_t)1 << bulk_slot(d->tab, "ha1") |
	       (uint64_t)1 << bulk_slot(d->tab, "ha1b");
	all = both | (uint64_t)1 << bulk_slot(d->tab, "ha1_sha256");
	if (!(d->given & all))
		return 0;
	if ((d->given & both) != both)
		return verr_set(e, VERR_INPUT,
				"'ha1' and 'ha1b' belong together");
	d->given |= all;
	return 0;
}

/* The type that the one given reference implies. */
static int
imply_type(struct bulk_draft *d, bool with_user, struct verr *e)
{
	const char *type = with_user ? "user" : NULL;

	if (d->given & (uint64_t)1 << bulk_slot(d->tab, "type"))
		return 0;
	for (size_t i = 0; !type && i < d->tab->n; i++) {
		const struct entity_field *f = d->tab->slots[i].field;

		if (d->slots[i] && f->type == ENTITY_REFERENCE &&
		    strcmp(f->name, "recording_policy") != 0)
			type = strcmp(f->name, "trunk") == 0 ? "trunk_out"
							     : f->name;
	}
	return type ? bulk_put(d, "type", type, e) : 0;
}

/* Is it a field that a line of an extension may hold for its user? */
static bool
is_of_user(struct bulk *b, const struct bulk_table *tab, const char *name)
{
	return strcmp(tab->t->name, "extension") == 0 &&
	       !find_column(tab, name) && !entity_field_find(tab->t, name) &&
	       find_column(bulk_table_of(b, entity_find("user")), name);
}

/* A list is for networks, an object for what is JSON itself. */
static int
put_member(struct bulk_draft *d, const struct bulk_member *m, struct verr *e)
{
	const struct bulk_column *c = find_column(d->tab, m->name);
	enum entity_type type;

	if (!c)
		return unknown_field(d->tab->t, m->name, e);
	type = c->field->type;
	if ((m->form == BULK_LIST && type != ENTITY_CIDRS) ||
	    (m->form == BULK_OBJECT && type != ENTITY_JSON))
		return verr_set(e, VERR_INPUT, "field '%s': %s where %s is due",
				m->name,
				m->form == BULK_LIST ? "a list" : "an object",
				entity_type_name(type));
	return bulk_put_column(d, c, m->value, e);
}

/* Those of the line's fields that are the draft's own. */
static int
put_members(struct bulk_draft *d, const struct bulk_row *row,
	    const struct bulk_draft *line, struct verr *e)
{
	for (size_t i = 0; i < row->n; i++) {
		const struct bulk_member *m = &row->members[i];
		struct verr why;

		if (is_of_user(d->b, line->tab, m->name) != (d != line))
			continue;
		why.kind = VERR_NONE;
		if (put_member(d, m, &why) == -1 && wrong(d, &why, e) == -1)
			return -1;
	}
	return 0;
}

static int
put_user(struct bulk_draft *d, struct bulk_draft *user,
	 const struct bulk_row *row, struct verr *e)
{
	struct verr why = VERR_INIT;

	*user = (struct bulk_draft){ .b = d->b,
				     .r = d->r,
				     .tab = bulk_table_of(d->b,
							  entity_find("user")),
				     .key = d->key,
				     .key_text = d->key_text };
	if (put_members(user, row, d, e) == -1)
		return -1;
	if (!user->given && !user->wrong)
		return 0;
	if (d->given & (uint64_t)1 << bulk_slot(d->tab, "user_id")) {
		verr_set(&why, VERR_INPUT,
			 "fields of the user are for a line of the user when "
			 "'user' is given");
		return wrong(d, &why, e);
	}
	return bulk_put(d, "user_id", d->key.name, e);
}

static int
stage(struct bulk_draft *d, struct verr *e)
{
	return bulk_stage(d->b, d->tab, d->r, &d->key, d->given, d->slots, e);
}

static int
take_row(struct bulk_draft *d, const struct bulk_row *row, struct verr *e)
{
	struct bulk_draft user = { .given = 0 };
	struct verr why = VERR_INIT;
	int rc = -1;

	if ((entity_key_parse(&d->key, d->tab->t, d->key_text, &why) == -1 ||
	     check_domain(d, row, &why) == -1))
		return wrong(d, &why, e);
	if (put_members(d, row, d, e) == 0 &&
	    (strcmp(d->tab->t->name, "extension") != 0 ||
	     (put_user(d, &user, row, e) == 0 &&
	      imply_type(d, user.given, e) == 0)))
		rc = 0;
	if (rc == 0 && (check_hashes(d, &why) == -1 ||
			(user.given && check_hashes(&user, &why) == -1)))
		rc = wrong(d, &why, e);
	if (rc == 0 && !d->wrong && !user.wrong) {
		if (user.given)
			rc = stage(&user, e);
		if (rc == 0)
			rc = stage(d, e);
	}
	bulk_draft_release(&user);
	return rc;
}

/* The entity that the line or the command names. */
static const struct entity *
line_entity(const struct bulk *b, const struct bulk_row *row, struct verr *e)
{
	const struct entity *only = b->o->only, *t;

	if (!row->entity && only)
		return only;
	if (!row->entity) {
		verr_set(e, VERR_INPUT, "no member 'entity'");
		return NULL;
	}
	t = entity_find(row->entity);
	if (!t)
		verr_set(e, VERR_INPUT, "'%.64s' is no entity", row->entity);
	else if (only && t != only)
		verr_set(e, VERR_INPUT, "it is of '%s', not of '%s'", t->name,
			 only->name);
	else
		return t;
	return NULL;
}

static int
take(struct bulk *b, const struct bulk_record *r, const struct bulk_row *row,
     struct verr *e)
{
	struct verr why = VERR_INIT;
	const struct entity *t = line_entity(b, row, &why);
	struct bulk_draft d = { .b = b, .r = r, .key_text = row->key };
	int rc;

	if (t && !row->key)
		verr_set(&why, VERR_INPUT, "no member 'key'");
	if (!t || !row->key)
		return bulk_reject_verr(b, r, NULL, &why, e);
	d.tab = bulk_table_of(b, t);
	rc = take_row(&d, row, e);
	bulk_draft_release(&d);
	return rc;
}

/* A column that is wrong is told once, not for each line. */
static int
check_header(struct bulk *b, struct verr *e)
{
	static const char *const others[] = { "entity", "key", "reason" };
	const struct bulk_table *tab = bulk_table_of(b, b->o->only);

	for (int i = 0; i < b->nnames; i++) {
		const char *name = b->names[i];
		bool known = find_column(tab, name) || is_of_user(b, tab, name);

		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			known = known || strcmp(name, others[j]) == 0;
		if (!known)
			return unknown_field(tab->t, name, e);
	}
	return 0;
}

int
bulk_take(struct bulk *b, const struct bulk_record *r, struct verr *e)
{
	struct verr why = VERR_INIT;
	struct bulk_row row;
	bool head = b->nnames == 0;
	int rc = bulk_parse(b, &row, r, &why);

	head = head && b->file.csv;
	if (rc == 0 && head)
		rc = check_header(b, &why);
	if (rc == -1 && (why.kind != VERR_INPUT || head)) {
		*e = why;
		if (head)
			verr_wrap(e, "line %ld", r->line);
	} else if (rc == -1) {
		rc = bulk_reject_verr(b, r, NULL, &why, e);
	} else if (!head) {
		rc = take(b, r, &row, e);
	}
	bulk_row_release(&row);
	return rc;
}
