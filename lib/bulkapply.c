/* From the file to the commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulksql.h"

/* Errors that are told one by one. */
#define TOLD 100
/* So many mean that it is not the file that was meant, or one without end. */
#define GIVE_UP 10000

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
	bulk_rejects_release(b);
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
		b->gave_up = !b->o->rejects && b->nerrors >= GIVE_UP;
		if (b->gave_up) {
			rc = 0;
			break;
		}
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

/* So many new rows that what the planner knows of their table is wrong. */
#define MANY_ROWS 5000

/*
 * The rows that come next are checked against these.  A tenant's role may not,
 * and an older schema has no such function; then it is only slow.
 */
static int
refresh_statistics(struct bulk *b, const struct bulk_table *tab, struct verr *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	if (tab->added < MANY_ROWS)
		return 0;
	buf_printf(&sql,
		   "do $$begin if has_function_privilege(to_regprocedure("
		   "'voip.refresh_statistics(text)')::oid, 'execute') then"
		   " perform voip.refresh_statistics('%s'); end if; end$$",
		   tab->t->table);
	rc = bulk_sql_run(b, &sql, e);
	buf_release(&sql);
	return rc;
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
		     bulk_write(b, tab, e) == -1 ||
		     refresh_statistics(b, tab, e) == -1))
			return -1;
	/* Those that point to others first. */
	while (b->o->prune && tab-- > b->tables)
		if (tab->pruned && bulk_prune(b, tab, e) == -1)
			return -1;
	return db_script(b->db, "set constraints all immediate", e);
}

/* Back to what was read; the temporary tables of the file's rows are kept. */
static void
forget(struct bulk *b, size_t errors)
{
	db_rollback(b->db);
	while (b->nerrors > errors)
		free(b->errors[--b->nerrors].reason);
	for (struct bulk_table *tab = b->tables; tab->t; tab++) {
		tab->added = tab->changed = tab->removed = tab->refused = 0;
		tab->pruned = false;
	}
}

/* Somebody else may write the same rows: plan anew what is then there. */
static int
write_again(struct bulk *b, struct verr *e)
{
	size_t errors = b->nerrors;

	for (;; b->races++) {
		struct verr why = VERR_INIT;

		if (begin(b, &why) == 0 && write_all(b, &why) == 0)
			return 0;
		if (!bulk_is_race(b, &why)) {
			*e = why;
			return -1;
		}
		forget(b, errors);
	}
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
			"nothing is changed: %ld line%s of '%s' %s wrong%s",
			lines, lines == 1 ? "" : "s", b->o->path,
			lines == 1 ? "is" : "are",
			b->gave_up ? ", and the rest was not read" : "");
}

static int
commit(struct bulk *b, long rejected, struct bulk_counts *counts,
       struct verr *e)
{
	if ((rejected && bulk_write_rejects(b, e) == -1) ||
	    db_commit(b->db, e) == -1)
		return -1;
	counts->taken = true;
	return rejected ? bulk_publish_rejects(b, e) : 0;
}

static int
show_plan(struct bulk *b, struct bulk_counts *counts, db_row_fn plan, void *arg,
	  struct verr *e)
{
	int rc = db_copy_out(b->db,
			     "copy (select action, entity, key, field, old, new"
			     " from pg_temp.bulk_plan order by place)"
			     " to stdout",
			     plan, arg, e);

	counts->taken = rc == 0;
	return rc;
}

static int
finish(struct bulk *b, struct bulk_counts *counts, db_row_fn plan, void *arg,
       bulk_complain_fn complain, struct verr *e)
{
	long lines = bulk_sort_errors(b);
	int rc;

	count(b, counts);
	counts->rejected = lines;
	if (lines && !b->o->rejects)
		return tell_errors(b, lines, complain, e);
	rc = b->o->dry_run ? show_plan(b, counts, plan, arg, e)
			   : commit(b, lines, counts, e);
	if (rc == 0 && lines)
		rc = tell_errors(b, lines, complain, e);
	return rc;
}

static int
apply(struct bulk *b, struct bulk_counts *counts, db_row_fn plan, void *arg,
      bulk_complain_fn complain, struct verr *e)
{
	if ((b->o->rejects && bulk_check_rejects(b, e) == -1) ||
	    read_all(b, e) == -1)
		return -1;
	if (b->o->prune && count_lines(b) == 0 && !b->nerrors)
		return verr_set(e, VERR_INPUT,
				"'%s' holds nothing: --prune would remove all",
				b->o->path);
	if (!b->gave_up && write_again(b, e) == -1)
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
	b->rejects = BUF_INIT;
	init_tables(b);
	rc = apply(b, counts, plan, arg, complain, e);
	db_rollback(db);
	release(b);
	free(b);
	return rc;
}
