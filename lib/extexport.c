/* voip-ext export. */
#include <stdio.h>
#include <string.h>

#include "entitybulk.h"
#include "extcommand.h"

struct export
{
	struct out *out;
	const char *entity; /* a column of its own in jsonl, or NULL */
	int n;              /* columns that a row has */
};

/* What a row is printed as; as bulk_export() has the columns. */
static size_t
out_columns(struct out_column *to, const struct bulk_column *from, size_t n,
	    bool with_entity, bool secrets)
{
	size_t count = 0;

	if (with_entity)
		to[count++] = (struct out_column){ "entity", OUT_TEXT };
	to[count++] = (struct out_column){ "key", OUT_TEXT };
	for (size_t i = 0; i < n; i++)
		if (bulk_is_exported(&from[i], secrets))
			to[count++] = (struct out_column){
				from[i].name, ext_out_type(from[i].field)
			};
	return count;
}

static int
print_row(const char *const *values, int n, void *arg, struct verr *e)
{
	struct export *x = arg;
	const char *row[BULK_COLUMNS + 2];
	int first = x->entity ? 1 : 0;

	(void)e;
	row[0] = x->entity;
	for (int i = 0; i < n && i + first < x->n; i++)
		row[i + first] = values[i];
	out_row(x->out, row);
	return 0;
}

static int
export_entity(struct db *db, const struct ext_command *c,
	      const struct entity *t, struct verr *e)
{
	const struct ext_options *o = c->options;
	enum out_format format = o->format == OUT_TABLE ? OUT_JSONL : o->format;
	struct bulk_column columns[BULK_COLUMNS];
	size_t n = bulk_columns(columns, t);
	struct out_column shown[BULK_COLUMNS + 2];
	struct export x = { .entity = format == OUT_CSV ? NULL : t->name };
	struct verr ignored = VERR_INIT;
	int rc;

	x.n = (int)out_columns(shown, columns, n, x.entity, o->secrets);
	x.out = out_begin(stdout, format, shown, (size_t)x.n, e);
	if (!x.out)
		return -1;
	rc = bulk_export(db, t, o->domain, o->secrets, print_row, &x, e);
	if (out_end(x.out, rc == 0 ? e : &ignored) == -1)
		rc = -1;
	return rc;
}

static int
check_options(const struct ext_command *c, struct verr *e)
{
	const struct ext_options *o = c->options;

	if (o->format != OUT_TABLE && o->format != OUT_JSONL &&
	    o->format != OUT_CSV)
		return verr_set(e, VERR_USAGE,
				"export writes jsonl, or csv of one entity");
	if (o->format == OUT_CSV && !c->entity_given)
		return verr_set(e, VERR_USAGE,
				"csv has one kind of row\n"
				"hint: voip-ext ENTITY export -f csv");
	if (o->domain && c->entity_given && !bulk_has_domain(c->entity))
		return verr_set(e, VERR_USAGE, "'%s' is not of a domain",
				c->entity->name);
	return 0;
}

/* All entities as they are at one moment. */
static int
export_all(struct db *db, const struct ext_command *c, struct verr *e)
{
	const struct entity *order[BULK_ENTITIES];

	bulk_order(order);
	for (size_t i = 0; order[i]; i++) {
		if (c->entity_given
			    ? order[i] != c->entity
			    : c->options->domain && !bulk_has_domain(order[i]))
			continue;
		if (export_entity(db, c, order[i], e) == -1)
			return -1;
	}
	return 0;
}

int
ext_export(struct db *db, struct ext_command *c, struct verr *e)
{
	int rc = -1;

	if (check_options(c, e) == -1)
		return -1;
	if (db_begin(db, e) == 0 &&
	    db_script(db,
		      "set transaction isolation level repeatable read,"
		      " read only; set local jit = off;"
		      " set local work_mem = '64MB'",
		      e) == 0 &&
	    export_all(db, c, e) == 0)
		rc = db_commit(db, e);
	db_rollback(db);
	return rc;
}
