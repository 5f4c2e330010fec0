/* What the file lacks, removed. */
#include <stdio.h>
#include <string.h>

#include "bulksql.h"
#include "entitysql.h"

/* --- scope ------------------------------------------------------------ */

/* The domain of a row t, as text; null for what is of all. */
static void
add_domain(struct buf *sql, const struct entity *t)
{
	const struct entity_field *f = entity_field_find(t, "domain");

	if (t->in_domain)
		buf_puts(sql, "d.domain");
	else if (f == t->fields)
		buf_puts(sql, "t.domain");
	else if (f && f->type == ENTITY_REFERENCE)
		buf_printf(sql,
			   "(select o.domain from voip.domains as o"
			   " where o.id = t.%s)",
			   f->column);
	else
		buf_puts(sql, "null::text");
}

/* The domains that the file names. */
int
bulk_prune_scope(struct bulk *b, struct verr *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_puts(&sql, "create temporary table bulk_scope on commit drop as"
		       " select current_setting('voip.only_domain', true)"
		       " as domain");
	for (struct bulk_table *tab = b->tables; tab->t; tab++) {
		if (!tab->staged)
			continue;
		if (tab->t->in_domain)
			buf_printf(&sql,
				   " union select x_domain"
				   " from pg_temp.stage_%s",
				   tab->t->table);
		else if (strcmp(tab->t->name, "domain") == 0)
			buf_printf(&sql,
				   " union select x_name"
				   " from pg_temp.stage_%s",
				   tab->t->table);
	}
	rc = bulk_sql_run(b, &sql, e);
	buf_release(&sql);
	return rc;
}

/* A file of one tenant must not empty the others by oversight. */
static int
check_scope(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	struct db_result *r = NULL;
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql,
		   "select domain, count(*) from pg_temp.gone_%s"
		   " where domain is not null and domain not in (select"
		   " domain from pg_temp.bulk_scope where domain is not null)"
		   " group by 1 order by 2 desc, 1 limit 1",
		   tab->t->table);
	rc = buf_failed(&sql) ? verr_set(e, VERR_RETRY, "out of memory")
			      : db_query(b->db, &r, sql.data, 0, NULL, e);
	if (rc == 0 && db_rows(r))
		rc = verr_set(e, VERR_INPUT,
			      "--prune would remove what is of domain '%s',"
			      " of which the file holds nothing (%s: %s)\n"
			      "hint: --domain DOMAIN keeps to one,"
			      " --all-domains means it",
			      db_value(r, 0, 0), tab->t->name,
			      db_value(r, 0, 1));
	db_result_free(r);
	buf_release(&sql);
	return rc;
}

int
bulk_prune_find(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	const struct entity *t = tab->t;
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql,
		   "create temporary table gone_%s on commit drop as"
		   " select t.id, ",
		   t->table);
	sql_key(&sql, t);
	buf_puts(&sql, " as key, ");
	add_domain(&sql, t);
	buf_puts(&sql, " as domain");
	sql_from(&sql, t);
	buf_puts(&sql, " where t.id not in (select t.id");
	bulk_sql_from(&sql, tab);
	buf_puts(&sql, " where t.id is not null)");
	if (b->o->domain) {
		buf_puts(&sql, " and ");
		add_domain(&sql, t);
		buf_puts(&sql, " = current_setting('voip.only_domain')");
	}
	rc = bulk_sql_run(b, &sql, e);
	buf_release(&sql);
	if (rc == 0 && !b->o->domain && !b->o->all_domains)
		rc = check_scope(b, tab, e);
	tab->pruned = rc == 0;
	return rc;
}

/* --- removing --------------------------------------------------------- */

static int
take_user(const char *const *values, int n, void *arg, struct verr *e)
{
	(void)n;
	return bulk_reject(arg, 0, 0, 0, e, "%s", values[0]);
}

/* What points to rows that are to go, by one column of one entity. */
static int
find_users(struct bulk *b, const struct bulk_table *tab, const struct entity *u,
	   const char *column, struct verr *e)
{
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql,
		   "copy (select '%s ''' || g.key || ''' is in use by %s '''"
		   " || ",
		   tab->t->name, u->name);
	sql_key(&sql, u);
	buf_puts(&sql, " || ''''");
	sql_from(&sql, u);
	buf_printf(&sql,
		   " join pg_temp.gone_%s as g on g.id = t.%s"
		   " order by 1 limit 20) to stdout",
		   tab->t->table, column);
	rc = buf_failed(&sql) ? verr_set(e, VERR_RETRY, "out of memory")
			      : db_copy_out(b->db, sql.data, take_user, b, e);
	buf_release(&sql);
	return rc;
}

static int
explain(struct bulk *b, const struct bulk_table *tab, struct verr *e)
{
	for (const struct entity *u = entities; u->name; u++) {
		if (u->in_domain && !u->parent &&
		    strcmp(tab->t->name, "domain") == 0 &&
		    find_users(b, tab, u, "domain_id", e) == -1)
			return -1;
		for (const struct entity_field *f = u->fields; f->name; f++)
			if (f->type == ENTITY_REFERENCE &&
			    strcmp(f->words, tab->t->name) == 0 &&
			    find_users(b, tab, u, f->column, e) == -1)
				return -1;
	}
	return 0;
}

/* Parts of a whole may be gone with it already: what is planned counts. */
int
bulk_prune(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	const char *table = tab->t->table;
	struct verr why = VERR_INIT;
	struct db_result *r = NULL;
	struct buf sql = BUF_INIT;
	size_t before = b->nerrors;
	int rc;

	if (b->o->dry_run)
		buf_printf(&sql,
			   "insert into pg_temp.bulk_plan (action, entity, key)"
			   " select 'remove', '%s', key"
			   " from pg_temp.gone_%s order by key collate \"C\";",
			   tab->t->name, table);
	buf_puts(&sql, "savepoint pruning");
	rc = bulk_sql_run(b, &sql, e);
	if (rc == 0) {
		buf_printf(&sql,
			   "delete from voip.%s where id in"
			   " (select id from pg_temp.gone_%s)",
			   table, table);
		rc = db_query(b->db, &r, sql.data, 0, NULL, &why);
	}
	if (rc == 0) {
		tab->removed = db_affected(r);
	} else if (why.kind == VERR_CONFLICT || why.kind == VERR_INPUT) {
		rc = db_script(b->db, "rollback to savepoint pruning", e);
		if (rc == 0)
			rc = explain(b, tab, e);
		if (rc == 0 && b->nerrors == before)
			rc = bulk_reject(b, 0, 0, 0, e, "%s", why.msg);
	} else if (why.kind != VERR_NONE) {
		*e = why;
	}
	db_result_free(r);
	buf_release(&sql);
	return rc;
}
