/* Rows that cannot be written, found by sets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulksql.h"
#include "entityrule.h"
#include "entitysql.h"

/* --- rejecting rows of a query ---------------------------------------- */

struct found {
	struct bulk *b;
	const struct entity *t;
	struct buf lines; /* "{1,2" */
	long n;
};

static int
take_found(const char *const *values, int n, void *arg, struct verr *e)
{
	struct found *f = arg;

	(void)n;
	buf_printf(&f->lines, "%c%s", f->lines.len ? ',' : '{', values[0]);
	f->n++;
	return bulk_reject(f->b, atol(values[0]), atoll(values[1]),
			   (size_t)atoll(values[2]), e, "%s '%s': %s",
			   f->t->name, values[4] ? values[4] : "",
			   values[3] ? values[3] : "");
}

long
bulk_check_rows(struct bulk *b, struct bulk_table *tab, const struct buf *sql,
		const char *from, struct verr *e)
{
	struct found f = { .b = b, .t = tab->t, .lines = BUF_INIT };
	struct db_result *r = NULL;
	struct buf text = BUF_INIT;
	int rc;

	buf_printf(&text, "copy (%s) to stdout", sql->data);
	rc = buf_failed(&text) || buf_failed(sql)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : db_copy_out(b->db, text.data, take_found, &f, e);
	buf_clear(&text);
	if (rc == 0 && f.n) {
		buf_putc(&f.lines, '}');
		buf_printf(&text,
			   "delete from pg_temp.%s_%s"
			   " where x_line = any ($1::integer[])",
			   from, tab->t->table);
		rc = buf_failed(&text) || buf_failed(&f.lines)
			     ? verr_set(e, VERR_RETRY, "out of memory")
			     : db_query(b->db, &r, text.data, 1,
					(struct db_param[]){
						DB_TEXT(f.lines.data) },
					e);
	}
	if (rc == 0 && r)
		tab->refused += db_affected(r);
	db_result_free(r);
	buf_release(&f.lines);
	buf_release(&text);
	return rc == 0 ? f.n : -1;
}

/* --- the checks ------------------------------------------------------- */

/* A select of a reason for the rows that `where` is true of. */
static void
begin(struct buf *sql)
{
	if (sql->len)
		buf_puts(sql, " union all ");
	buf_puts(sql, "select w.x_line, w.x_record, w.x_size, ");
}

static void
end(struct buf *sql, const struct bulk_table *tab)
{
	const char *table = tab->t->table;

	buf_puts(sql, ", ");
	bulk_sql_key(sql, tab->t);
	buf_printf(sql,
		   " from pg_temp.want_%s as w join pg_temp.stage_%s as s"
		   " on s.x_line = w.x_line"
		   " left join voip.%s as t on t.id = w.id where ",
		   table, table, table);
}

static void
add_missing(struct buf *sql, const struct bulk_table *tab, const char *prefix,
	    const struct entity *to, const char *name, const char *id)
{
	begin(sql);
	buf_printf(sql, "'%s%s ''' || s.%s%s || ''' does not exist'", prefix,
		   to->name, name,
		   to->in_domain ? " || '@' || s.x_domain" : "");
	end(sql, tab);
	buf_printf(sql, "s.%s is not null and w.%s is null", name, id);
	if (to->in_domain)
		buf_printf(sql, " and w.%s is not null",
			   tab->t->parent ? "x_domain_id" : "domain_id");
}

static void
check_key(struct buf *sql, const struct bulk_table *tab)
{
	const struct entity *t = tab->t;

	if (t->in_domain)
		add_missing(sql, tab, "", entity_find("domain"), "x_domain",
			    t->parent ? "x_domain_id" : "domain_id");
	if (t->parent)
		add_missing(sql, tab, "", entity_find(t->parent), "x_parent",
			    t->parent_column);
	if (t->fields->type == ENTITY_REFERENCE)
		add_missing(sql, tab, "", sql_referenced(t->fields), "x_name",
			    t->fields->column);
}

/* A thing that may be of a domain must be of no other. */
static void
check_owner(struct buf *sql, const struct bulk_table *tab,
	    const struct bulk_column *c)
{
	const struct entity *to = sql_referenced(c->field);

	if (!tab->t->in_domain || tab->t->parent || to->in_domain ||
	    strcmp(to->name, "domain") == 0 || !entity_field_find(to, "domain"))
		return;
	begin(sql);
	buf_printf(sql,
		   "'field ''%s'': %s ''' || s.%s || ''' is of another"
		   " domain'",
		   c->field->name, to->name, c->column);
	end(sql, tab);
	buf_printf(sql,
		   "exists (select from voip.%s as o where o.id = w.%s"
		   " and o.domain_id <> w.domain_id)",
		   to->table, c->column);
}

static void
check_slot(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	const struct bulk_column *c = &tab->slots[i];
	const struct entity_field *f = c->field;
	char prefix[96];

	snprintf(prefix, sizeof(prefix), "field ''%s'': ", f->name);
	if (f->type == ENTITY_REFERENCE && bulk_is_given(tab, i)) {
		add_missing(sql, tab, prefix, sql_referenced(f), c->column,
			    c->column);
		check_owner(sql, tab, c);
	}
	if (f->flags & (ENTITY_REQUIRED | ENTITY_MADE)) {
		begin(sql);
		buf_printf(sql, "'needs the field ''%s'''", c->name);
		end(sql, tab);
		buf_printf(sql, "w.%s is null", c->column);
	}
	if (strcmp(c->column, "domain_id") == 0) {
		begin(sql);
		buf_printf(sql,
			   "'field ''%s'': it cannot move to another domain"
			   " (remove it and add it there)'",
			   f->name);
		end(sql, tab);
		buf_puts(sql, "w.x_action = 'c'"
			      " and t.domain_id is distinct from w.domain_id");
	}
}

/* --- what must be unique besides the key ------------------------------ */

static const char *
field_name(const struct bulk_table *tab, const char *column)
{
	for (size_t i = 0; i < tab->n; i++)
		if (strcmp(tab->slots[i].column, column) == 0)
			return tab->slots[i].name;
	return NULL;
}

/* " (o.domain_id, o.extension)" */
static void
add_tuple(struct buf *sql, const char *alias, const char *columns)
{
	buf_printf(sql, "(%s.", alias);
	for (; *columns; columns++)
		if (*columns == ',')
			buf_printf(sql, ", %s.", alias);
		else
			buf_putc(sql, *columns);
	buf_puts(sql, ")");
}

/* `columns` are a constraint's, with commas; the last one is ours. */
static void
check_unique(struct buf *sql, const struct bulk_table *tab, const char *columns)
{
	const char *table = tab->t->table, *last = strrchr(columns, ',');
	const char *field = field_name(tab, last ? last + 1 : columns);

	if (!field)
		return;
	begin(sql);
	buf_printf(sql, "'another has this ''%s'' already'", field);
	end(sql, tab);
	buf_printf(sql, "(exists (select from voip.%s as o where ", table);
	add_tuple(sql, "o", columns);
	buf_puts(sql, " = ");
	add_tuple(sql, "w", columns);
	buf_printf(sql,
		   " and o.id is distinct from w.id and not exists"
		   " (select from pg_temp.want_%s as n where n.id = o.id)",
		   table);
	if (tab->pruned)
		buf_printf(sql,
			   " and not exists (select from pg_temp.gone_%s as g"
			   " where g.id = o.id)",
			   table);
	buf_printf(sql, ") or exists (select from pg_temp.want_%s as n where ",
		   table);
	add_tuple(sql, "n", columns);
	buf_puts(sql, " = ");
	add_tuple(sql, "w", columns);
	buf_puts(sql, " and n.x_line < w.x_line))");
}

/* Constraints by the columns that they are of, without that of the key. */
static int
check_uniques(struct bulk *b, const struct bulk_table *tab, struct buf *sql,
	      struct verr *e)
{
	static const char query[] =
		"select (select string_agg(a.attname, ',' order by k.place)"
		" from unnest(c.conkey) with ordinality as k(num, place)"
		" join pg_attribute as a"
		" on a.attrelid = c.conrelid and a.attnum = k.num)"
		" from pg_constraint as c where c.contype = 'u'"
		" and c.conrelid = ('voip.' || $1)::regclass"
		" and not exists (select from pg_attribute as a"
		" where a.attrelid = c.conrelid and a.attnum = any (c.conkey)"
		" and a.attname in ('id', $2))";
	struct db_result *r = NULL;
	int rc =
		db_query(b->db, &r, query, 2,
			 (struct db_param[]){ DB_TEXT(tab->t->table),
					      DB_TEXT(tab->t->fields->column) },
			 e);

	for (int row = 0; rc == 0 && row < db_rows(r); row++)
		check_unique(sql, tab, db_value(r, row, 0));
	db_result_free(r);
	return rc;
}

int
bulk_check(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	struct buf sql = BUF_INIT;
	long n = -1;

	check_key(&sql, tab);
	for (size_t i = 0; i < tab->n; i++)
		check_slot(&sql, tab, i);
	if (check_uniques(b, tab, &sql, e) == 0)
		n = sql.len ? bulk_check_rows(b, tab, &sql, "want", e) : 0;
	buf_release(&sql);
	return n == -1 ? -1 : 0;
}

/* --- the table's own rules -------------------------------------------- */

/* "users_max_calls_check" is of max_calls. */
static const char *
ruled_field(const struct bulk_table *tab, const char *constraint)
{
	char name[128];

	for (const struct entity_field *f = tab->t->fields; f->name; f++) {
		snprintf(name, sizeof(name), "%s_%s_check", tab->t->table,
			 f->column ? f->column : "");
		if (strcmp(name, constraint) == 0)
			return f->name;
	}
	return NULL;
}

/* With its hint on the same line. */
static void
add_words(struct buf *sql, const char *words)
{
	const char *hint = strstr(words, "\nhint: ");

	bulk_sql_literal(sql, words, hint ? (size_t)(hint - words) : SIZE_MAX);
	if (hint) {
		buf_puts(sql, " || ' (' || ");
		bulk_sql_literal(sql, hint + 7, SIZE_MAX);
		buf_puts(sql, " || ')'");
	}
}

/* `reason`, an SQL literal, is for what has no words of ours. */
static void
check_rule(struct buf *sql, const struct bulk_table *tab, const char *name,
	   const char *rule, const char *reason)
{
	const char *field = ruled_field(tab, name);
	const char *words = entity_rule_of(name);

	begin(sql);
	if (field)
		buf_printf(sql, "'field ''%s'': ' || ", field);
	if (words)
		add_words(sql, words);
	else
		buf_puts(sql, reason);
	end(sql, tab);
	buf_printf(sql,
		   "w.x_line in (select x_line from pg_temp.want_%s"
		   " where not (%s))",
		   tab->t->table, rule);
}

long
bulk_check_rules(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	static const char query[] =
		"select conname, pg_get_expr(conbin, conrelid), quote_literal("
		"'it breaks the rule ' || regexp_replace(pg_get_expr(conbin,"
		" conrelid), '\\s+', ' ', 'g') || ' [' || conname || ']')"
		" from pg_constraint where contype = 'c'"
		" and conrelid = ('voip.' || $1)::regclass order by conname";
	struct db_result *r = NULL;
	struct buf sql = BUF_INIT;
	long n = -1;

	if (db_query(b->db, &r, query, 1,
		     (struct db_param[]){ DB_TEXT(tab->t->table) }, e) == 0) {
		for (int row = 0; row < db_rows(r); row++)
			check_rule(&sql, tab, db_value(r, row, 0),
				   db_value(r, row, 1), db_value(r, row, 2));
		n = sql.len ? bulk_check_rows(b, tab, &sql, "want", e) : 0;
	}
	db_result_free(r);
	buf_release(&sql);
	return n;
}
