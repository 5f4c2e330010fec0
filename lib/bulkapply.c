/* From the file to the commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulksql.h"

/* Errors that are told one by one. */
#define TOLD 100

/* --- tables ----------------------------------------------------------- */

static void
init_tables(struct bulk *b)
{
	const struct entity *order[BULK_ENTITIES];

	bulk_order(order);
	for (size_t i = 0; order[i]; i++) {
		struct bulk_table *tab = &b->tables[i];

		tab->t = order[i];
		tab->rows = BUF_INIT;
		tab->ncolumns = bulk_columns(tab->columns, order[i]);
		for (size_t c = 0; c < tab->ncolumns; c++)
			if (bulk_is_exported(&tab->columns[c], true))
				tab->slots[tab->n++] = tab->columns[c];
	}
}

struct bulk_table *
bulk_table_of(struct bulk *b, const struct entity *t)
{
	struct bulk_table *tab = b->tables;

	while (tab->t != t)
		tab++;
	return tab;
}

static void
release(struct bulk *b)
{
	for (struct bulk_table *tab = b->tables; tab->t; tab++) {
		buf_release(&tab->rows);
		for (size_t i = 0; i < tab->n; i++)
			free(tab->defaults[i]);
	}
	bulk_errors_release(b);
	bulk_file_release(&b->file);
	buf_release(&b->header);
}

/* --- reading ---------------------------------------------------------- */

static int
read_all(struct bulk *b, struct verr *e)
{
	struct bulk_record r;
	int rc;

	if (bulk_file_open(&b->file, b->o->path, false, b->o->rejects, e) == -1)
		return -1;
	progress_begin(&b->progress, "read", "lines", 0);
	while ((rc = bulk_file_next(&b->file, &r, e)) == 1) {
		if (bulk_take(b, &r, e) == -1) {
			rc = -1;
			break;
		}
		progress_add(&b->progress, 1);
	}
	for (struct bulk_table *tab = b->tables; rc == 0 && tab->t; tab++)
		rc = bulk_stage_flush(b, tab, e);
	progress_end(&b->progress);
	return rc;
}

static long
count_lines(const struct bulk *b)
{
	long n = 0;

	for (const struct bulk_table *tab = b->tables; tab->t; tab++)
		n += tab->lines;
	return n;
}

/* --- writing ---------------------------------------------------------- */

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

/*
 * Write the lines `from` to `to`, or all when both are 0.  -1 with VERR_INPUT
 * or VERR_CONFLICT: the database refused some and took none.
 */
static int
write_lines(struct bulk *b, struct bulk_table *tab, long from, long to,
	    struct verr *e)
{
	struct buf sql = BUF_INIT;
	struct verr ignored = VERR_INIT;
	long added = 0, changed = 0;
	int rc = db_script(b->db, "savepoint writing", e);

	if (rc == 0) {
		insert_sql(&sql, tab, from, to);
		rc = run_counted(b, &sql, &added, e);
		buf_clear(&sql);
		if (rc == 0 && tab->given_any) {
			update_sql(&sql, tab, from, to);
			rc = run_counted(b, &sql, &changed, e);
		}
		if (rc == 0) {
			tab->added += added;
			tab->changed += changed;
			rc = db_script(b->db, "release savepoint writing", e);
		} else if (e->kind == VERR_INPUT || e->kind == VERR_CONFLICT) {
			if (db_script(b->db, "rollback to savepoint writing",
				      &ignored) == -1)
				*e = ignored;
		}
	}
	buf_release(&sql);
	return rc;
}

static bool
is_refusal(const struct verr *e)
{
	return e->kind == VERR_INPUT || e->kind == VERR_CONFLICT;
}

/* Reject the one line that the database refuses for `why`. */
static int
reject_line(struct bulk *b, struct bulk_table *tab, long line,
	    const struct verr *why, struct verr *e)
{
	struct buf sql = BUF_INIT;
	long n;

	buf_puts(&sql, "select s.x_line, s.x_record, s.x_size, '");
	for (const char *p = why->msg; *p; p++)
		buf_printf(&sql, *p == '\'' ? "''" : "%c", *p);
	buf_puts(&sql, "', ");
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

	if (write_lines(b, tab, from, to, &why) == 0)
		return 0;
	if (!is_refusal(&why)) {
		*e = why;
		return -1;
	}
	if (from == to)
		return reject_line(b, tab, from, &why, e);
	if (write_halves(b, tab, from, middle, e) == -1)
		return -1;
	return write_halves(b, tab, middle + 1, to, e);
}

static int
write_table(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	struct verr why = VERR_INIT;
	long found;

	if (write_lines(b, tab, 0, 0, &why) == 0)
		return 0;
	if (!is_refusal(&why)) {
		*e = why;
		return -1;
	}
	found = bulk_check_rules(b, tab, e);
	if (found == -1)
		return -1;
	return found ? write_table(b, tab, e)
		     : write_halves(b, tab, 1, b->file.line, e);
}

/* --- all -------------------------------------------------------------- */

/*
 * One at a time: the second waits and then sees what the first has done.
 * Numbers of queues may change places, so these are checked at the end.
 */
static int
begin(struct bulk *b, struct verr *e)
{
	const char *domain = b->o->domain ? b->o->domain : "";

	if (db_begin(b->db, e) == -1 ||
	    entity_actor(b->db, b->o->command, e) == -1 ||
	    db_script(
		    b->db,
		    "set local lock_timeout = 0; set local jit = off;"
		    " set local work_mem = '64MB';"
		    " set constraints voip.queues_domain_id_extension_key,"
		    " voip.ivr_menus_domain_id_extension_key deferred;"
		    " select pg_advisory_xact_lock(hashtext('voip-ext apply'));"
		    " create temporary table bulk_plan (place bigint generated"
		    " always as identity, action text, entity text, key text,"
		    " field text, old text, new text) on commit drop",
		    e) == -1)
		return -1;
	return db_query(b->db, NULL,
			"select set_config('voip.only_domain',"
			" nullif($1, ''), true)",
			1, (struct db_param[]){ DB_TEXT(domain) }, e);
}

static int
write_all(struct bulk *b, struct verr *e)
{
	struct bulk_table *tab;

	if (b->o->prune && bulk_prune_scope(b, e) == -1)
		return -1;
	for (tab = b->tables; tab->t; tab++)
		if (tab->staged &&
		    (bulk_plan(b, tab, e) == -1 ||
		     (b->o->prune && bulk_prune_find(b, tab, e) == -1) ||
		     bulk_check(b, tab, e) == -1 ||
		     (b->o->dry_run && bulk_plan_note(b, tab, e) == -1) ||
		     write_table(b, tab, e) == -1))
			return -1;
	/* Those that point to others first. */
	while (b->o->prune && tab-- > b->tables)
		if (tab->pruned && bulk_prune(b, tab, e) == -1)
			return -1;
	return db_script(b->db, "set constraints all immediate", e);
}

static void
count(const struct bulk *b, struct bulk_counts *counts)
{
	for (const struct bulk_table *tab = b->tables; tab->t; tab++) {
		counts->added += tab->added;
		counts->changed += tab->changed;
		counts->removed += tab->removed;
		counts->unchanged +=
			tab->lines - tab->added - tab->changed - tab->refused;
	}
}

static int
tell_errors(const struct bulk *b, long lines, bulk_complain_fn complain,
	    struct verr *e)
{
	struct verr one = VERR_INIT;

	for (size_t i = 0; i < b->nerrors && i < TOLD; i++) {
		const struct bulk_error *error = &b->errors[i];

		if (error->line)
			verr_set(&one, VERR_INPUT, "line %ld: %s", error->line,
				 error->reason);
		else
			verr_set(&one, VERR_INPUT, "%s", error->reason);
		complain(&one);
	}
	if (b->nerrors > TOLD) {
		verr_set(&one, VERR_INPUT, "... and %zu more",
			 b->nerrors - TOLD);
		complain(&one);
	}
	if (b->errors[b->nerrors - 1].line == 0)
		return verr_set(e, VERR_CONFLICT,
				"nothing is changed: what --prune would remove "
				"is in use");
	if (b->o->rejects)
		return verr_set(e, VERR_INPUT,
				"%ld line%s could not be taken: see '%s'",
				lines, lines == 1 ? "" : "s", b->o->rejects);
	return verr_set(e, VERR_INPUT,
			"nothing is changed: %ld line%s of '%s' %s wrong",
			lines, lines == 1 ? "" : "s", b->o->path,
			lines == 1 ? "is" : "are");
}

static int
finish(struct bulk *b, struct bulk_counts *counts, db_row_fn plan, void *arg,
       bulk_complain_fn complain, struct verr *e)
{
	long lines = bulk_sort_errors(b);

	count(b, counts);
	counts->rejected = lines;
	if (lines && !b->o->rejects)
		return tell_errors(b, lines, complain, e);
	if (b->o->dry_run &&
	    db_copy_out(b->db,
			"copy (select action, entity, key, field, old, new"
			" from pg_temp.bulk_plan order by place) to stdout",
			plan, arg, e) == -1)
		return -1;
	if (lines && !b->o->dry_run && bulk_write_rejects(b, e) == -1)
		return -1;
	if (!b->o->dry_run && db_commit(b->db, e) == -1)
		return -1;
	counts->taken = true;
	return lines ? tell_errors(b, lines, complain, e) : 0;
}

static int
apply(struct bulk *b, struct bulk_counts *counts, db_row_fn plan, void *arg,
      bulk_complain_fn complain, struct verr *e)
{
	if (read_all(b, e) == -1)
		return -1;
	if (b->o->prune && count_lines(b) == 0 && !b->nerrors)
		return verr_set(e, VERR_INPUT,
				"'%s' holds nothing: --prune would remove all",
				b->o->path);
	if (begin(b, e) == -1 || write_all(b, e) == -1)
		return -1;
	return finish(b, counts, plan, arg, complain, e);
}

int
bulk_apply(struct db *db, const struct bulk_options *o,
	   struct bulk_counts *counts, db_row_fn plan, void *arg,
	   bulk_complain_fn complain, struct verr *e)
{
	struct bulk *b = calloc(1, sizeof(*b));
	int rc;

	*counts = (struct bulk_counts){ 0 };
	if (!b)
		return verr_set(e, VERR_RETRY, "out of memory");
	b->db = db;
	b->o = o;
	b->header = BUF_INIT;
	init_tables(b);
	rc = apply(b, counts, plan, arg, complain, e);
	db_rollback(db);
	release(b);
	free(b);
	return rc;
}
