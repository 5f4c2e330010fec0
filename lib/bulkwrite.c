/* What is planned, written; what the database refuses, found. */
#include <string.h>

#include "bulksql.h"

static void
add_range(struct buf *sql, long from, long to)
{
	if (from != to || from)
		buf_printf(sql, " and w.x_line between %ld and %ld", from, to);
}

static void
insert_sql(struct buf *sql, const struct bulk_table *tab, long from, long to)
{
	const struct entity *t = tab->t;
	struct buf columns = BUF_INIT;

	if (t->parent)
		buf_printf(&columns, "%s, ", t->parent_column);
	else if (t->in_domain)
		buf_puts(&columns, "domain_id, ");
	buf_puts(&columns, t->fields->column);
	for (size_t i = 0; i < tab->n; i++)
		buf_printf(&columns, ", %s", tab->slots[i].column);
	buf_printf(sql,
		   "insert into voip.%s (%s) select %s from pg_temp.want_%s"
		   " as w where w.x_action = 'a'",
		   t->table, columns.data, columns.data, t->table);
	add_range(sql, from, to);
	buf_puts(sql, " order by w.x_line");
	if (buf_failed(&columns))
		sql->failed = true;
	buf_release(&columns);
}

/* What a line does not give stays, whoever changes it meanwhile. */
static void
update_sql(struct buf *sql, const struct bulk_table *tab, long from, long to)
{
	const char *separator = "";

	buf_printf(sql, "update voip.%s as t set ", tab->t->table);
	for (size_t i = 0; i < tab->n; i++) {
		const char *column = tab->slots[i].column;

		if (!bulk_is_given(tab, i))
			continue;
		buf_printf(sql, "%s%s = ", separator, column);
		if (tab->given_all >> i & 1)
			buf_printf(sql, "w.%s", column);
		else
			buf_printf(sql,
				   "case when w.x_given & %llu <> 0"
				   " then w.%s else t.%s end",
				   (unsigned long long)((uint64_t)1 << i),
				   column, column);
		separator = ", ";
	}
	buf_printf(sql,
		   " from pg_temp.want_%s as w"
		   " where w.id = t.id and w.x_action = 'c'",
		   tab->t->table);
	add_range(sql, from, to);
}

static int
run_counted(struct bulk *b, const struct buf *sql, long *count, struct verr *e)
{
	struct db_result *r = NULL;
	int rc = buf_failed(sql) ? verr_set(e, VERR_RETRY, "out of memory")
				 : db_query(b->db, &r, sql->data, 0, NULL, e);

	if (rc == 0)
		*count += db_affected(r);
	db_result_free(r);
	return rc;
}

static int
write_rows(struct bulk *b, struct bulk_table *tab, long from, long to,
	   struct verr *e)
{
	struct buf sql = BUF_INIT;
	long added = 0, changed = 0;
	int rc;

	insert_sql(&sql, tab, from, to);
	rc = run_counted(b, &sql, &added, e);
	if (rc == 0 && tab->given_any) {
		buf_clear(&sql);
		update_sql(&sql, tab, from, to);
		rc = run_counted(b, &sql, &changed, e);
	}
	if (rc == 0) {
		tab->added += added;
		tab->changed += changed;
	}
	buf_release(&sql);
	return rc;
}

bool
bulk_is_race(const struct bulk *b, const struct verr *e)
{
	static const char *const states[] = { "23505", "23503", "40001",
					      "40P01" };

	if (b->races == BULK_RACES ||
	    (e->kind != VERR_RETRY && e->kind != VERR_CONFLICT))
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(db_sqlstate(b->db), states[i]) == 0)
			return true;
	return false;
}

enum written { WRITTEN, REFUSED, FAILED };

/* The lines `from` to `to`, or all when both are 0.  REFUSED: none was taken.
 */
static enum written
write_lines(struct bulk *b, struct bulk_table *tab, long from, long to,
	    struct verr *e)
{
	struct verr ignored = VERR_INIT;

	if (db_script(b->db, "savepoint writing", e) == -1)
		return FAILED;
	if (write_rows(b, tab, from, to, e) == 0)
		return db_script(b->db, "release savepoint writing", e) == -1
			       ? FAILED
			       : WRITTEN;
	if ((e->kind != VERR_INPUT && e->kind != VERR_CONFLICT) ||
	    bulk_is_race(b, e))
		return FAILED;
	if (db_script(b->db, "rollback to savepoint writing", &ignored) == 0)
		return REFUSED;
	*e = ignored;
	return FAILED;
}

/* Reject the one line that the database refuses for `why`. */
static int
reject_line(struct bulk *b, struct bulk_table *tab, long line,
	    const struct verr *why, struct verr *e)
{
	struct buf sql = BUF_INIT;
	long n;

	buf_puts(&sql, "select s.x_line, s.x_record, s.x_size, ");
	bulk_sql_literal(&sql, why->msg, SIZE_MAX);
	buf_puts(&sql, ", ");
	bulk_sql_key(&sql, tab->t);
	buf_printf(&sql, " from pg_temp.stage_%s as s where s.x_line = %ld",
		   tab->t->table, line);
	n = bulk_check_rows(b, tab, &sql, "want", e);
	buf_release(&sql);
	return n == -1 ? -1 : 0;
}

/* What no rule explains is found by halves. */
static int
write_halves(struct bulk *b, struct bulk_table *tab, long from, long to,
	     struct verr *e)
{
	struct verr why = VERR_INIT;
	long middle = from + (to - from) / 2;

	switch (write_lines(b, tab, from, to, &why)) {
	case WRITTEN:
		return 0;
	case FAILED:
		*e = why;
		return -1;
	case REFUSED:
		break;
	}
	if (from == to)
		return reject_line(b, tab, from, &why, e);
	if (write_halves(b, tab, from, middle, e) == -1)
		return -1;
	return write_halves(b, tab, middle + 1, to, e);
}

int
bulk_write(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	for (;;) {
		struct verr why = VERR_INIT;
		long found;

		switch (write_lines(b, tab, 0, 0, &why)) {
		case WRITTEN:
			return 0;
		case FAILED:
			*e = why;
			return -1;
		case REFUSED:
			break;
		}
		found = bulk_check_rules(b, tab, e);
		if (found == -1)
			return -1;
		if (found == 0)
			return write_halves(b, tab, 1, b->file.line, e);
	}
}
