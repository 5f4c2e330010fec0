/*
 * Removing a row with all that hangs on it.
 *
 * The temporary table "going" holds what goes, found step by step from the row
 * itself: with an empty `field` the row is removed, else that field is emptied.
 * Each step is a few statements over all its rows, so a tenant of ten thousand
 * numbers takes no more of them than one of ten.
 */
#include <stdio.h>
#include <string.h>

#include "entitylink.h"
#include "entitysql.h"

#define ENTITIES 32

static int
run_text(struct db *db, struct buf *sql, int n, const struct db_param *params,
	 struct verr *e)
{
	int rc = -1;

	if (buf_failed(sql))
		verr_set(e, VERR_RETRY, "out of memory");
	else
		rc = db_query(db, NULL, sql->data, n, params, e);
	buf_release(sql);
	return rc;
}

/* The table with its first row. */
static int
begin(struct db *db, const struct entity *t, const struct entity_key *key,
      const char *id, struct verr *e)
{
	struct buf name = BUF_INIT;
	int rc;

	entity_key_format(&name, t, key);
	rc = db_script(db,
		       "create temporary table if not exists going ("
		       "entity text not null, id bigint not null,"
		       " field text not null default '', step integer not null,"
		       " place integer not null default 0,"
		       " key text not null, cause text,"
		       " primary key (entity, id, field)) on commit drop;"
		       "truncate pg_temp.going",
		       e);
	if (rc == 0 && buf_failed(&name))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0)
		rc = db_query(
			db, NULL,
			"insert into pg_temp.going (entity, id, step, key)"
			" values ($1, $2::text::bigint, 0, $3)",
			3,
			(struct db_param[]){ DB_TEXT(t->name), DB_TEXT(id),
					     DB_TEXT(name.data) },
			e);
	buf_release(&name);
	return rc;
}

/* What points by one link to the rows of a step. */
static int
follow(struct db *db, const struct entity *to, const struct entity_link *l,
       const char *step, struct verr *e)
{
	struct buf sql = BUF_INIT;

	buf_printf(&sql,
		   "insert into pg_temp.going (entity, id, field, step, key,"
		   " cause) select '%s', t.id, '%s', $1::text::integer + 1, ",
		   l->from->name, l->lets_go ? l->field->name : "");
	sql_key(&sql, l->from);
	buf_puts(&sql, ", g.entity || ' ''' || g.key || ''''");
	sql_from(&sql, l->from);
	buf_printf(&sql,
		   " cross join pg_temp.going as g join voip.%s as o"
		   " on o.id = g.id where g.entity = '%s' and g.field = ''"
		   " and g.step = $1::text::integer and ",
		   to->table, to->name);
	entity_link_condition(&sql, l);
	buf_puts(&sql, " on conflict do nothing");
	return run_text(db, &sql, 1, (struct db_param[]){ DB_TEXT(step) }, e);
}

static int
follow_all(struct db *db, const struct entity *to, bool whole_domain,
	   const char *step, struct verr *e)
{
	struct entity_link links[ENTITY_LINKS];
	size_t n = entity_links(to, links);

	for (size_t i = 0; i < n; i++) {
		/* The first step has all that is in a domain already. */
		if (whole_domain && to->in_domain && links[i].from->in_domain)
			continue;
		if (follow(db, to, &links[i], step, e) == -1)
			return -1;
	}
	return 0;
}

/* The entities that have rows; `condition` is ours. */
static int
present(struct db *db, const char *condition, const char *param,
	bool has[ENTITIES], struct verr *e)
{
	struct db_result *r = NULL;
	struct buf sql = BUF_INIT;
	int rc, found = 0;

	buf_printf(&sql,
		   "select distinct entity from pg_temp.going where field = ''"
		   "%s",
		   condition);
	rc = buf_failed(&sql)
		     ? verr_set(e, VERR_RETRY, "out of memory")
		     : db_query(db, &r, sql.data, param ? 1 : 0,
				(struct db_param[]){ DB_TEXT(param) }, e);
	memset(has, 0, ENTITIES * sizeof(*has));
	for (int i = 0; rc == 0 && i < db_rows(r); i++, found++)
		has[entity_find(db_value(r, i, 0)) - entities] = true;
	db_result_free(r);
	buf_release(&sql);
	return rc == -1 ? -1 : found;
}

static int
collect(struct db *db, bool whole_domain, struct verr *e)
{
	bool has[ENTITIES];
	char text[16];

	for (int step = 0;; step++) {
		int found;

		snprintf(text, sizeof(text), "%d", step);
		found = present(db, " and step = $1::text::integer", text, has,
				e);
		if (found < 1)
			return found;
		for (size_t i = 0; entities[i].name; i++)
			if (has[i] && follow_all(db, &entities[i], whole_domain,
						 text, e) == -1)
				return -1;
	}
}

/* --- doing it --------------------------------------------------------- */

static int
empty(struct db *db, const struct entity *t, const struct entity_field *f,
      struct verr *e)
{
	struct buf sql = BUF_INIT;

	buf_printf(&sql,
		   "update voip.%s as t set %s = null from pg_temp.going as g"
		   " where g.entity = '%s' and g.field = '%s' and t.id = g.id",
		   t->table, f->column, t->name, f->name);
	return run_text(db, &sql, 0, NULL, e);
}

static int
empty_all(struct db *db, struct verr *e)
{
	if (db_query(db, NULL,
		     "delete from pg_temp.going as g where g.field <> ''"
		     " and exists (select from pg_temp.going as r"
		     " where r.entity = g.entity and r.id = g.id"
		     " and r.field = '')",
		     0, NULL, e) == -1)
		return -1;
	for (const struct entity *t = entities; t->name; t++)
		for (const struct entity_field *f = t->fields; f->name; f++)
			if (f->flags & ENTITY_LETS_GO &&
			    empty(db, t, f, e) == -1)
				return -1;
	return 0;
}

/* Does anything that is still there keep a row of `to`? */
static bool
is_kept(const struct entity *to, const bool has[ENTITIES])
{
	struct entity_link links[ENTITY_LINKS];
	size_t n = entity_links(to, links);

	for (size_t i = 0; i < n; i++)
		if (has[links[i].from - entities])
			return true;
	return false;
}

static int
remove_rows(struct db *db, const struct entity *t, int place, struct verr *e)
{
	struct buf sql = BUF_INIT;

	buf_printf(&sql,
		   "with gone as (delete from voip.%s where id in ("
		   "select id from pg_temp.going where entity = '%s'"
		   " and field = ''))"
		   " update pg_temp.going set place = %d"
		   " where entity = '%s' and field = ''",
		   t->table, t->name, place, t->name);
	if (run_text(db, &sql, 0, NULL, e) == 0)
		return 0;
	return statement_kept(db, t, NULL, e);
}

/* What points first, then what it pointed to. */
static int
remove_all(struct db *db, struct verr *e)
{
	bool has[ENTITIES];
	int left = present(db, "", NULL, has, e);

	for (int place = 1; left > 0; place++) {
		size_t i = 0;

		while (entities[i].name &&
		       (!has[i] || is_kept(&entities[i], has)))
			i++;
		if (!entities[i].name)
			return verr_set(e, VERR_BUG,
					"the references go in a circle");
		if (remove_rows(db, &entities[i], place, e) == -1)
			return -1;
		has[i] = false;
		left--;
	}
	return left;
}

int
entity_remove_cascade(struct db *db, struct db_result **r,
		      const struct entity *t, const struct entity_key *key,
		      struct verr *e)
{
	bool whole_domain = strcmp(t->name, "domain") == 0;
	char id[24];

	if (entity_id(db, t, key, id, e) == -1 ||
	    begin(db, t, key, id, e) == -1 ||
	    collect(db, whole_domain, e) == -1 || empty_all(db, e) == -1 ||
	    remove_all(db, e) == -1)
		return -1;
	return db_query(db, r,
			"select case field when '' then 'remove' else 'empty'"
			" end, entity, key, nullif(field, ''), cause"
			" from pg_temp.going"
			" order by place, entity, field, key collate \"C\"",
			0, NULL, e);
}
