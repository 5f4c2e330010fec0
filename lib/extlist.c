/* The verbs that only look: list and show. */
#include <string.h>
#include <unistd.h>

#include "entityquery.h"
#include "extcommand.h"
#include "progress.h"

enum out_type
ext_out_type(const struct entity_field *f)
{
	switch (f->type) {
	case ENTITY_INT:
		return OUT_NUMBER;
	case ENTITY_BOOL:
		return OUT_BOOL;
	case ENTITY_JSON:
		return OUT_RAW;
	default:
		return OUT_TEXT;
	}
}

static enum out_type
column_type(const struct entity_column *c)
{
	return c->kind == ENTITY_COLUMN_FIELD ? ext_out_type(c->field)
					      : OUT_TEXT;
}

/* What --fields, --sort and --where say; people get the main fields. */
static int
read_options(struct entity_query *q, const struct ext_command *c, bool brief,
	     struct verr *e)
{
	const struct ext_options *o = c->options;

	entity_query_init(q, c->entity);
	if (o->fields && entity_query_fields(q, o->fields, e) == -1)
		return -1;
	if (o->sort && entity_query_sort(q, o->sort, e) == -1)
		return -1;
	for (const char **where = o->where; where && *where; where++)
		if (entity_query_where(q, *where, e) == -1)
			return -1;
	if (!brief || o->fields)
		return 0;
	q->ncolumns = 0;
	for (const struct entity_field *f = c->entity->fields; f->name; f++) {
		struct entity_query all;

		if (f->flags & ENTITY_DETAIL)
			continue;
		entity_query_init(&all, c->entity);
		q->columns[q->ncolumns++] = all.columns[f - c->entity->fields];
	}
	return 0;
}

static struct out *
begin(const struct entity_query *q, enum out_format format,
      struct out_column *columns, struct verr *e)
{
	for (size_t i = 0; i < q->ncolumns; i++)
		columns[i] = (struct out_column){ q->columns[i].name,
						  column_type(&q->columns[i]) };
	return out_begin(stdout, format, columns, q->ncolumns, e);
}

/* --- show ------------------------------------------------------------- */

/* One row as a table of its fields. */
static int
print_fields(const struct entity_query *q, const struct db_result *r,
	     struct verr *e)
{
	static const struct out_column columns[] = { { "field", OUT_TEXT },
						     { "value", OUT_TEXT } };
	struct out *out = out_begin(stdout, OUT_TABLE, columns, 2, e);

	if (!out)
		return -1;
	for (size_t i = 0; i < q->ncolumns; i++)
		out_row(out, (const char *const[]){ q->columns[i].name,
						    db_value(r, 0, (int)i) });
	return out_end(out, e);
}

static int
print_row(const struct entity_query *q, enum out_format format,
	  const struct db_result *r, struct verr *e)
{
	struct out_column columns[ENTITY_COLUMNS];
	const char *values[ENTITY_COLUMNS];
	struct out *out = begin(q, format, columns, e);

	if (!out)
		return -1;
	for (size_t i = 0; i < q->ncolumns; i++)
		values[i] = db_value(r, 0, (int)i);
	out_row(out, values);
	return out_end(out, e);
}

/* The row that is not there, or not as --where wants it. */
static int
not_shown(struct db *db, struct ext_command *c, struct entity_query *q,
	  struct verr *e)
{
	struct db_result *r = NULL;
	bool is_there;

	q->nconditions = 0;
	if (entity_query_run(db, &r, q, e) == -1)
		return -1;
	is_there = db_rows(r) > 0;
	db_result_free(r);
	if (is_there)
		return verr_set(e, VERR_NOTFOUND,
				"%s '%s' is not as --where says",
				c->entity->name, c->key_text);
	return verr_set(e, VERR_NOTFOUND, "%s '%s' does not exist",
			c->entity->name, c->key_text);
}

int
ext_show(struct db *db, struct ext_command *c, struct verr *e)
{
	enum out_format format = c->options->format;
	struct entity_query q;
	struct db_result *r = NULL;
	int rc;

	if (read_options(&q, c, false, e) == -1)
		return -1;
	q.key = &c->key;
	rc = entity_query_run(db, &r, &q, e);
	if (rc == 0 && db_rows(r) == 0)
		rc = not_shown(db, c, &q, e);
	else if (rc == 0 && format == OUT_TABLE)
		rc = print_fields(&q, r, e);
	else if (rc == 0)
		rc = print_row(&q, format, r, e);
	db_result_free(r);
	return rc;
}

/* --- list ------------------------------------------------------------- */

/* The head waits for the first row: a refusal comes alone. */
struct listing {
	const struct entity_query *query;
	enum out_format format;
	struct out_column columns[ENTITY_COLUMNS];
	struct out *out;
	struct progress progress;
};

static int
list_row(const char *const *values, void *arg, struct verr *e)
{
	struct listing *l = arg;

	if (!l->out)
		l->out = begin(l->query, l->format, l->columns, e);
	if (!l->out)
		return -1;
	out_row(l->out, values);
	progress_add(&l->progress, 1);
	/* out_end() says why. */
	return out_failed(l->out) ? -1 : 0;
}

static int
print_rows(struct db *db, const struct entity_query *q, enum out_format format,
	   struct verr *e)
{
	struct listing l = { .query = q, .format = format };
	struct verr later = VERR_INIT;
	int rc, ended;

	progress_begin(&l.progress, "list", "rows", 0);
	/* The rows themselves say how far it is. */
	l.progress.seen = l.progress.seen && !isatty(STDOUT_FILENO);
	rc = entity_query_each(db, q, list_row, &l, e);
	progress_end(&l.progress);
	if (rc == 0 && !l.out) {
		l.out = begin(q, format, l.columns, e);
		rc = l.out ? 0 : -1;
	}
	ended = out_end(l.out, e->kind != VERR_NONE ? &later : e);
	return rc == 0 ? ended : rc;
}

int
ext_list(struct db *db, struct ext_command *c, struct verr *e)
{
	const char *domain = c->options->domain;
	enum out_format format = c->options->format;
	struct entity_query q;

	if (domain && !c->entity->in_domain &&
	    strcmp(c->entity->name, "domain") != 0)
		return verr_set(e, VERR_USAGE, "'%s' is not of a domain",
				c->entity->name);
	if (read_options(&q, c, format == OUT_TABLE, e) == -1)
		return -1;
	for (int i = 0; i < c->argc; i++)
		if (entity_query_where(&q, c->argv[i], e) == -1)
			return -1;
	q.domain = domain;
	q.limit = c->options->limit;
	return print_rows(db, &q, format, e);
}
