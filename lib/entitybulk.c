/* Columns, order and export. */
#include "entitybulk.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "entitysql.h"

/* --- columns ---------------------------------------------------------- */

static void
add_column(struct bulk_column *columns, size_t *n, const struct entity_field *f,
	   enum bulk_kind kind, const char *name, const char *column)
{
	struct bulk_column *c = &columns[*n];

	assert(*n < BULK_COLUMNS);
	snprintf(c->name, sizeof(c->name), "%s%s", name,
		 kind == BULK_SEALED ? "_sealed" : "");
	c->field = f;
	c->kind = kind;
	c->column = column;
	++*n;
}

size_t
bulk_columns(struct bulk_column columns[BULK_COLUMNS], const struct entity *t)
{
	static const char *const hashes[] = { "ha1", "ha1b", "ha1_sha256" };
	size_t n = 0;

	for (const struct entity_field *f = t->fields + 1; f->name; f++) {
		if (f->flags & ENTITY_READONLY)
			continue;
		add_column(columns, &n, f, BULK_VALUE, f->name, f->column);
		if (f->type == ENTITY_PASSWORD)
			for (size_t i = 0; i < 3; i++)
				add_column(columns, &n, f, BULK_HASH, hashes[i],
					   hashes[i]);
		if (f->type == ENTITY_SEALED)
			add_column(columns, &n, f, BULK_SEALED, f->name,
				   f->column);
		if (f->type == ENTITY_HASHED)
			add_column(columns, &n, f, BULK_HASH, f->column,
				   f->column);
	}
	return n;
}

/* --- order ------------------------------------------------------------ */

static bool
is_placed(const struct entity *const *order, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(order[i]->name, name) == 0)
			return true;
	return false;
}

static bool
is_ready(const struct entity *t, const struct entity *const *order, size_t n)
{
	if (t->in_domain && !is_placed(order, n, "domain"))
		return false;
	if (t->parent && !is_placed(order, n, t->parent))
		return false;
	for (const struct entity_field *f = t->fields; f->name; f++)
		if (f->type == ENTITY_REFERENCE &&
		    !is_placed(order, n, f->words))
			return false;
	return true;
}

/* Round by round: what needs only rounds before. */
void
bulk_order(const struct entity *order[BULK_ENTITIES])
{
	size_t n = 0, before;

	do {
		before = n;
		for (const struct entity *t = entities; t->name; t++)
			if (!is_placed(order, n, t->name) &&
			    is_ready(t, order, before))
				order[n++] = t;
		assert(n < BULK_ENTITIES);
	} while (n > before);
	order[n] = NULL;
}

bool
bulk_has_domain(const struct entity *t)
{
	const struct entity_field *f = entity_field_find(t, "domain");

	return t->in_domain ||
	       (f && f->column &&
		(f->type == ENTITY_REFERENCE || f == t->fields));
}

/* --- export ----------------------------------------------------------- */

/* The name of the row that a reference points to, as files have it. */
static void
add_reference(struct buf *b, const struct bulk_column *c, size_t i,
	      const struct entity *t)
{
	const struct entity *to = sql_referenced(c->field);

	if (t->in_domain && to->in_domain && to->fields->check == valid_text)
		buf_printf(b,
			   ", case when strpos(r%zu.%s, '@') > 0"
			   " then r%zu.%s || '@' || d.domain else r%zu.%s end",
			   i, to->fields->column, i, to->fields->column, i,
			   to->fields->column);
	else
		buf_printf(b, ", r%zu.%s", i, to->fields->column);
}

static void
add_value(struct buf *b, const struct bulk_column *c, size_t i,
	  const struct entity *t)
{
	if (c->kind == BULK_SEALED) {
		/* encode() breaks the lines of base64. */
		buf_printf(b, ", translate(encode(t.%s, 'base64'), E'\\n', '')",
			   c->column);
	} else if (c->kind == BULK_HASH) {
		buf_printf(b, ", t.%s", c->column);
	} else if (c->field->type == ENTITY_REFERENCE) {
		add_reference(b, c, i, t);
	} else {
		buf_puts(b, ", ");
		sql_field(b, c->field);
	}
}

bool
bulk_is_exported(const struct bulk_column *c, bool secrets)
{
	if (c->kind != BULK_VALUE)
		return secrets;
	return !entity_is_secret(c->field);
}

static void
add_domain(struct buf *b, const struct entity *t)
{
	const struct entity_field *f = entity_field_find(t, "domain");

	if (t->in_domain)
		buf_puts(b, " where d.domain");
	else if (f == t->fields)
		buf_puts(b, " where t.domain");
	else
		buf_printf(b,
			   " where (select o.domain from voip.domains as o"
			   " where o.id = t.%s)",
			   f->column);
	/* COPY takes no parameters. */
	buf_puts(b, " = current_setting('voip.only_domain')");
}

static void
export_sql(struct buf *b, const struct entity *t, const char *domain,
	   bool secrets)
{
	struct bulk_column columns[BULK_COLUMNS];
	size_t n = bulk_columns(columns, t);

	buf_puts(b, "copy (select ");
	sql_key(b, t);
	for (size_t i = 0; i < n; i++)
		if (bulk_is_exported(&columns[i], secrets))
			add_value(b, &columns[i], i, t);
	sql_from(b, t);
	for (size_t i = 0; i < n; i++)
		if (columns[i].field->type == ENTITY_REFERENCE)
			buf_printf(
				b,
				" left join voip.%s as r%zu on r%zu.id = t.%s",
				sql_referenced(columns[i].field)->table, i, i,
				columns[i].column);
	if (domain)
		add_domain(b, t);
	/* Narrow keys: the sort is a good part of the whole time. */
	buf_puts(b, " order by ");
	if (t->in_domain)
		buf_puts(b, "t.domain_id, ");
	if (t->parent)
		buf_puts(b, "p.id, ");
	sql_name(b, t, "t");
	buf_puts(b, " collate \"C\", t.id) to stdout");
}

int
bulk_export(struct db *db, const struct entity *t, const char *domain,
	    bool secrets, db_row_fn fn, void *arg, struct verr *e)
{
	struct buf sql = BUF_INIT;
	int rc = -1;

	export_sql(&sql, t, domain, secrets);
	if (buf_failed(&sql))
		verr_set(e, VERR_RETRY, "out of memory");
	else if (!domain ||
		 db_query(db, NULL,
			  "select set_config('voip.only_domain', $1, true)", 1,
			  (struct db_param[]){ DB_TEXT(domain) }, e) == 0)
		rc = db_copy_out(db, sql.data, fn, arg, e);
	buf_release(&sql);
	return rc;
}
