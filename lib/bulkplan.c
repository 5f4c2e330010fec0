/* What is to be written: the rows of the file that differ. */
#include <stdlib.h>
#include <string.h>

#include "bulksql.h"
#include "entitysql.h"
#include "hash.h"
#include "secret.h"

/* --- defaults --------------------------------------------------------- */

static int
read_defaults(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	static const char sql[] =
		"select a.attname, pg_get_expr(d.adbin, d.adrelid)"
		" from pg_attrdef as d join pg_attribute as a"
		" on a.attrelid = d.adrelid and a.attnum = d.adnum"
		" where d.adrelid = ('voip.' || $1)::regclass"
		" and a.attgenerated = ''";
	struct db_result *r = NULL;
	int rc = db_query(b->db, &r, sql, 1,
			  (struct db_param[]){ DB_TEXT(tab->t->table) }, e);

	for (int row = 0; rc == 0 && row < db_rows(r); row++)
		for (size_t i = 0; i < tab->n; i++)
			if (strcmp(tab->slots[i].column, db_value(r, row, 0)) ==
				    0 &&
			    !tab->defaults[i]) {
				tab->defaults[i] = strdup(db_value(r, row, 1));
				if (!tab->defaults[i])
					rc = verr_set(e, VERR_RETRY,
						      "out of memory");
			}
	db_result_free(r);
	return rc;
}

/* --- one line for one row --------------------------------------------- */

/* The first line of each is kept. */
static int
find_doubles(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	struct db_result *r = NULL;
	struct buf sql = BUF_INIT;
	bool any = false;
	int rc;

	buf_puts(&sql, "select exists (select");
	buf_printf(&sql,
		   " from pg_temp.stage_%s as s"
		   " group by s.x_domain, s.x_parent, s.x_name"
		   " having count(*) > 1)",
		   tab->t->table);
	rc = buf_failed(&sql) ? verr_set(e, VERR_RETRY, "out of memory")
			      : db_query(b->db, &r, sql.data, 0, NULL, e);
	if (rc == 0)
		any = db_is_true(r, 0, 0);
	db_result_free(r);
	buf_clear(&sql);
	if (rc == 0 && any) {
		buf_puts(&sql,
			 "select x_line, x_record, x_size, 'it is on line '"
			 " || first || ' already' as reason, x_key"
			 " from (select s.*, ");
		bulk_sql_key(&sql, tab->t);
		buf_puts(&sql, " as x_key, min(x_line) over (partition by "
			       "s.x_domain, s.x_parent, s.x_name");
		buf_printf(&sql,
			   ") as first from pg_temp.stage_%s as s) as s"
			   " where x_line > first",
			   tab->t->table);
		rc = bulk_check_rows(b, tab, &sql, "stage", e);
	}
	buf_release(&sql);
	return rc;
}

/* --- sealed secrets that say the same --------------------------------- */

struct same {
	const struct bulk_table *tab;
	const char *column;
	struct buf lines; /* "{1,2" */
};

static int
unhex(struct buf *out, const char *hex, struct verr *e)
{
	for (; hex[0] && hex[1]; hex += 2) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		buf_putc(out, (char)strtol(pair, NULL, 16));
	}
	return buf_failed(out) ? verr_set(e, VERR_RETRY, "out of memory") : 0;
}

/* Columns: line, key, the line's ciphertext, the table's. */
static int
compare(const char *const *values, int n, void *arg, struct verr *e)
{
	struct same *s = arg;
	struct buf name = BUF_INIT, sealed = BUF_INIT;
	struct buf secrets[2] = { BUF_INIT, BUF_INIT };
	struct verr ignored = VERR_INIT;
	int rc = 0, opened = 0;

	(void)n;
	buf_printf(&name, "%s.%s:%s", s->tab->t->table, s->column, values[1]);
	for (int i = 0; rc == 0 && i < 2; i++) {
		buf_clear(&sealed);
		rc = unhex(&sealed, values[2 + i], e);
		if (rc == 0 && secret_open(&secrets[i], name.data, sealed.data,
					   sealed.len, &ignored) == 0)
			opened++;
	}
	if (opened == 2 && hash_equal(secrets[0].data, secrets[0].len,
				      secrets[1].data, secrets[1].len))
		buf_printf(&s->lines, "%c%s", s->lines.len ? ',' : '{',
			   values[0]);
	for (int i = 0; i < 2; i++) {
		hash_wipe(secrets[i].data, secrets[i].size);
		buf_release(&secrets[i]);
	}
	buf_release(&name);
	buf_release(&sealed);
	return rc;
}

/* Sealing gives other bytes each time: take those that are there. */
static int
keep_sealed(struct bulk *b, struct bulk_table *tab, size_t i, struct verr *e)
{
	const char *column = tab->slots[i].column, *table = tab->t->table;
	struct same same = { .tab = tab, .column = column, .lines = BUF_INIT };
	struct buf sql = BUF_INIT;
	int rc;

	buf_puts(&sql, "copy (select s.x_line, ");
	bulk_sql_key(&sql, tab->t);
	buf_printf(&sql, ", encode(s.%s, 'hex'), encode(t.%s, 'hex')", column,
		   column);
	bulk_sql_from(&sql, tab);
	buf_printf(&sql, " where s.%s <> t.%s) to stdout", column, column);
	rc = buf_failed(&sql) ? verr_set(e, VERR_RETRY, "out of memory")
			      : db_copy_out(b->db, sql.data, compare, &same, e);
	buf_clear(&sql);
	if (rc == 0 && same.lines.len) {
		buf_putc(&same.lines, '}');
		buf_printf(&sql,
			   "update pg_temp.stage_%s as u set %s = x.sealed"
			   " from (select s.x_line, t.%s as sealed",
			   table, column, column);
		bulk_sql_from(&sql, tab);
		buf_puts(&sql, ") as x where x.x_line = u.x_line"
			       " and u.x_line = any ($1::integer[])");
		rc = buf_failed(&sql) || buf_failed(&same.lines)
			     ? verr_set(e, VERR_RETRY, "out of memory")
			     : db_query(b->db, NULL, sql.data, 1,
					(struct db_param[]){
						DB_TEXT(same.lines.data) },
					e);
	}
	buf_release(&same.lines);
	buf_release(&sql);
	return rc;
}

/* --- the plan --------------------------------------------------------- */

static void
add_want(struct buf *sql, const struct bulk_table *tab)
{
	const char *table = tab->t->table, *separator = "";

	buf_printf(sql,
		   "create temporary table want_%s on commit drop as"
		   " select * from (select s.x_line, s.x_record, s.x_size,"
		   " s.x_given, t.id, ",
		   table);
	bulk_sql_key_columns(sql, tab->t);
	for (size_t i = 0; i < tab->n; i++) {
		buf_puts(sql, ", ");
		bulk_sql_new(sql, tab, i);
		buf_printf(sql, " as %s", tab->slots[i].column);
	}
	buf_puts(sql, ", case when t.id is null then 'a'");
	if (tab->given_any)
		buf_puts(sql, " when ");
	for (size_t i = 0; i < tab->n; i++)
		if (bulk_is_given(tab, i)) {
			buf_puts(sql, separator);
			bulk_sql_differs(sql, tab, i);
			separator = " or ";
		}
	buf_printf(sql, "%s else '=' end as x_action",
		   tab->given_any ? " then 'c'" : "");
	bulk_sql_from(sql, tab);
	buf_puts(sql, ") as x where x_action <> '='");
}

int
bulk_plan(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql, "analyze pg_temp.stage_%s", tab->t->table);
	if (read_defaults(b, tab, e) == -1 || bulk_sql_run(b, &sql, e) == -1 ||
	    find_doubles(b, tab, e) == -1) {
		buf_release(&sql);
		return -1;
	}
	for (size_t i = 0; tab->sealed && i < tab->n; i++)
		if (tab->slots[i].kind == BULK_SEALED &&
		    bulk_is_given(tab, i) && keep_sealed(b, tab, i, e) == -1) {
			buf_release(&sql);
			return -1;
		}
	add_want(&sql, tab);
	rc = bulk_sql_run(b, &sql, e);
	if (rc == 0) {
		buf_printf(&sql, "analyze pg_temp.want_%s", tab->t->table);
		rc = bulk_sql_run(b, &sql, e);
	}
	buf_release(&sql);
	return rc;
}

/* --- the plan for people ---------------------------------------------- */

/* Three hashes are one password. */
static bool
is_shown(const struct bulk_column *c)
{
	return c->field->type != ENTITY_PASSWORD ||
	       strcmp(c->column, c->field->column) == 0;
}

static void
add_note_row(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	buf_printf(sql, ", (%zu, '%s', ", i + 1, tab->slots[i].field->name);
	bulk_sql_given(sql, i);
	buf_puts(sql, ", ");
	bulk_sql_old_text(sql, tab, i);
	buf_puts(sql, ", ");
	bulk_sql_new_text(sql, tab, i);
	/* w holds t's own value where the line gives none. */
	buf_printf(sql, ", t.%s is distinct from w.%s)", tab->slots[i].column,
		   tab->slots[i].column);
}

int
bulk_plan_note(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	const struct entity *t = tab->t;
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql,
		   "insert into pg_temp.bulk_plan"
		   " (action, entity, key, field, old, new)"
		   " select case w.x_action when 'a' then 'add'"
		   " else 'change' end, '%s', ",
		   t->name);
	bulk_sql_key(&sql, t);
	buf_printf(&sql,
		   ", v.field, v.old, v.new from pg_temp.want_%s as w"
		   " join pg_temp.stage_%s as s on s.x_line = w.x_line"
		   " left join voip.%s as t on t.id = w.id"
		   " cross join lateral (values (0, null::text, true,"
		   " null::text, null::text, false)",
		   t->table, t->table, t->table);
	for (size_t i = 0; i < tab->n; i++)
		if (bulk_is_given(tab, i) && is_shown(&tab->slots[i]))
			add_note_row(&sql, tab, i);
	buf_puts(&sql, ") as v(place, field, given, old, new, differs)"
		       " where v.given and case when w.x_action = 'a'"
		       " then v.place = 0 or v.new is not null"
		       " else v.differs end order by w.x_line, v.place");
	rc = bulk_sql_run(b, &sql, e);
	buf_release(&sql);
	return rc;
}
