/* A query of an entity, as SQL. */
#include <stdlib.h>
#include <string.h>

#include "entityquery.h"
#include "entitysql.h"

/* Enough that a round trip costs nothing, little enough for any memory. */
#define FETCH      "fetch 2000 from voip_rows"
#define FETCH_ROWS 2000

/* --- columns and order ------------------------------------------------ */

static void
add_column(struct buf *b, const struct entity *t, const struct entity_column *c)
{
	switch (c->kind) {
	case ENTITY_COLUMN_KEY:
		sql_key(b, t);
		break;
	case ENTITY_COLUMN_NAME:
		sql_name(b, t, "t");
		break;
	case ENTITY_COLUMN_PARENT:
		sql_name(b, entity_find(t->parent), "p");
		break;
	case ENTITY_COLUMN_DOMAIN:
		buf_puts(b, "d.domain");
		break;
	case ENTITY_COLUMN_FIELD:
		sql_field(b, c->field);
		break;
	}
}

/* A name sorts byte by byte, so that each machine sorts it alike. */
static void
add_order(struct buf *b, const struct entity *t, const struct entity_column *c,
	  bool descending)
{
	const struct entity_field *f = c->field;
	const char *way = descending ? " desc nulls last" : " nulls last";

	if (c->kind == ENTITY_COLUMN_KEY) {
		struct entity_column part = *c;

		if (t->in_domain) {
			part.kind = ENTITY_COLUMN_DOMAIN;
			add_order(b, t, &part, descending);
			buf_puts(b, ", ");
		}
		if (t->parent) {
			part.kind = ENTITY_COLUMN_PARENT;
			add_order(b, t, &part, descending);
			buf_puts(b, ", ");
		}
		part.kind = ENTITY_COLUMN_NAME;
		add_order(b, t, &part, descending);
		return;
	}
	if (f->type == ENTITY_CIDR || f->type == ENTITY_INT ||
	    f->type == ENTITY_BOOL || f->type == ENTITY_TIME) {
		buf_printf(b, "t.%s%s", f->column, way);
		return;
	}
	buf_putc(b, '(');
	add_column(b, t, c);
	buf_printf(b, ") collate \"C\"%s", way);
}

/* --- conditions ------------------------------------------------------- */

static const char *const sql_signs[] = {
	[ENTITY_EQ] = "=", [ENTITY_NE] = "is distinct from",
	[ENTITY_LT] = "<", [ENTITY_LE] = "<=",
	[ENTITY_GT] = ">", [ENTITY_GE] = ">=",
};

/* Nothing there: null, or the text without a character. */
static void
add_empty(struct buf *b, const struct entity *t,
	  const struct entity_condition *c)
{
	buf_puts(b, " and coalesce(");
	add_column(b, t, &c->column);
	buf_printf(b, ", '') %s ''", c->op == ENTITY_EQ ? "=" : "<>");
}

static void
add_text_condition(struct buf *b, const struct entity *t,
		   const struct entity_condition *c, int place)
{
	bool ordered = c->op >= ENTITY_LT && c->op <= ENTITY_GE;

	buf_puts(b, c->op == ENTITY_HAS      ? " and strpos(lower("
		    : c->op == ENTITY_BEGINS ? " and starts_with("
					     : " and (");
	add_column(b, t, &c->column);
	if (c->op == ENTITY_HAS)
		buf_printf(b, "), lower($%d::text)) > 0", place);
	else if (c->op == ENTITY_BEGINS)
		buf_printf(b, ", $%d::text)", place);
	else
		buf_printf(b, ")%s %s $%d::text",
			   ordered ? " collate \"C\"" : "", sql_signs[c->op],
			   place);
}

static void
add_condition(struct statement *s, const struct entity *t,
	      const struct entity_condition *c)
{
	const struct entity_field *f = c->column.field;
	const char *sign = c->op < ENTITY_HAS ? sql_signs[c->op] : "";
	struct buf *b = &s->sql;
	int place;

	if (c->value && !*c->value) {
		add_empty(b, t, c);
		return;
	}
	place = statement_param(s, DB_TEXT(c->value ? c->value : c->time));
	if (c->op == ENTITY_HAS && f->type == ENTITY_CIDR)
		buf_printf(b, " and t.%s >>= $%d::text::inet", f->column,
			   place);
	else if (c->op == ENTITY_HAS && f->type == ENTITY_CIDRS)
		buf_printf(b, " and $%d::text::inet <<= any (t.%s)", place,
			   f->column);
	else if (c->op >= ENTITY_HAS)
		add_text_condition(b, t, c, place);
	else if (f->type == ENTITY_INT)
		buf_printf(b, " and t.%s %s $%d::integer", f->column, sign,
			   place);
	else if (f->type == ENTITY_BOOL)
		buf_printf(b, " and t.%s %s $%d::boolean", f->column, sign,
			   place);
	else if (f->type == ENTITY_JSON)
		buf_printf(b, " and t.%s %s $%d::jsonb", f->column, sign,
			   place);
	else if (f->type == ENTITY_CIDR)
		buf_printf(b, " and t.%s::inet %s $%d::text::inet", f->column,
			   sign, place);
	else if (f->type == ENTITY_CIDRS)
		buf_printf(b,
			   " and t.%s %s string_to_array($%d::text, ',')"
			   "::cidr[]",
			   f->column, sign, place);
	else if (f->type == ENTITY_TIME)
		/* As it is shown, to the second. */
		buf_printf(b,
			   " and date_trunc('second', t.%s)"
			   " %s $%d::timestamptz",
			   f->column, sign, place);
	else
		add_text_condition(b, t, c, place);
}

static void
add_query(struct statement *s, const struct entity_query *q)
{
	const struct entity *t = q->entity;
	const struct entity_column key = { .kind = ENTITY_COLUMN_KEY,
					   .field = t->fields };

	buf_puts(&s->sql, "select ");
	for (size_t i = 0; i < q->ncolumns; i++) {
		if (i)
			buf_puts(&s->sql, ", ");
		add_column(&s->sql, t, &q->columns[i]);
	}
	sql_from(&s->sql, t);
	if (q->key)
		sql_where_key(s, t, q->key);
	else
		buf_puts(&s->sql, " where true");
	if (q->domain)
		buf_printf(&s->sql, " and %s.domain = $%d",
			   t->in_domain ? "d" : "t",
			   statement_param(s, DB_TEXT(q->domain)));
	for (size_t i = 0; i < q->nconditions; i++)
		add_condition(s, t, &q->conditions[i]);
	if (q->key)
		return;
	buf_puts(&s->sql, " order by ");
	for (size_t i = 0; i < q->nsorts; i++) {
		add_order(&s->sql, t, &q->sorts[i].column,
			  q->sorts[i].descending);
		buf_puts(&s->sql, ", ");
	}
	add_order(&s->sql, t, &key, false);
	if (q->limit)
		buf_printf(&s->sql, " limit %d", q->limit);
}

/* --- running ---------------------------------------------------------- */

int
entity_query_run(struct db *db, struct db_result **r,
		 const struct entity_query *q, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	int rc;

	add_query(&s, q);
	rc = statement_run(db, &s, r, e);
	statement_release(&s);
	return rc;
}

static int
hand_on(const struct db_result *r, entity_row_fn fn, void *arg, struct verr *e)
{
	const char *values[ENTITY_COLUMNS];
	int columns = db_columns(r);

	for (int row = 0; row < db_rows(r); row++) {
		for (int i = 0; i < columns; i++)
			values[i] = db_value(r, row, i);
		if (fn(values, arg, e) == -1)
			return -1;
	}
	return 0;
}

static int
fetch_all(struct db *db, entity_row_fn fn, void *arg, struct verr *e)
{
	struct db_result *r;
	int rows, rc;

	do {
		if (db_query(db, &r, FETCH, 0, NULL, e) == -1)
			return -1;
		rows = db_rows(r);
		rc = hand_on(r, fn, arg, e);
		db_result_free(r);
	} while (rc == 0 && rows == FETCH_ROWS);
	return rc;
}

int
entity_query_each(struct db *db, const struct entity_query *q, entity_row_fn fn,
		  void *arg, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	int rc = -1;

	buf_puts(&s.sql, "declare voip_rows no scroll cursor for ");
	add_query(&s, q);
	/* A pager may be read slowly. */
	if (db_begin(db, e) == 0 &&
	    db_script(db, "set local idle_in_transaction_session_timeout = 0",
		      e) == 0 &&
	    statement_run(db, &s, NULL, e) == 0)
		rc = fetch_all(db, fn, arg, e);
	db_rollback(db);
	statement_release(&s);
	return rc;
}
