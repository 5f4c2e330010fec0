/* Rows of an entity: one by its key, a list, and what points to one. */
#include <stdio.h>
#include <string.h>

#include "entitylink.h"
#include "entitysql.h"

/* --- looking ---------------------------------------------------------- */

static int
no_such(const struct entity *t, const struct entity_key *key, struct verr *e)
{
	struct buf b = BUF_INIT;

	entity_key_format(&b, t, key);
	verr_set(e, VERR_NOTFOUND, "%s '%s' does not exist", t->name, b.data);
	buf_release(&b);
	return -1;
}

static int
find_id(struct db *db, const struct entity *t, const struct entity_key *key,
	const char *lock, char id[24], struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	struct db_result *r = NULL;
	int rc;

	buf_puts(&s.sql, "select t.id");
	sql_from(&s.sql, t);
	sql_where_key(&s, t, key);
	buf_puts(&s.sql, lock);
	rc = statement_run(db, &s, &r, e);
	if (rc == 0 && db_rows(r) == 0)
		rc = no_such(t, key, e);
	if (rc == 0)
		snprintf(id, 24, "%s", db_value(r, 0, 0));
	db_result_free(r);
	statement_release(&s);
	return rc;
}

int
entity_id(struct db *db, const struct entity *t, const struct entity_key *key,
	  char id[24], struct verr *e)
{
	return find_id(db, t, key, " for update of t", id, e);
}

int
entity_target_id(struct db *db, const struct entity *t,
		 const struct entity_key *key, char id[24], struct verr *e)
{
	return find_id(db, t, key, "", id, e);
}

int
entity_list(struct db *db, struct db_result **r, const struct entity *t,
	    const char *domain, const struct entity_key *key,
	    const struct entity_value *filters, size_t n, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	int rc;

	buf_puts(&s.sql, "select ");
	sql_key(&s.sql, t);
	for (const struct entity_field *f = t->fields + 1; f->name; f++) {
		buf_puts(&s.sql, ", ");
		sql_field(&s.sql, f);
	}
	sql_from(&s.sql, t);
	if (key)
		sql_where_key(&s, t, key);
	else
		buf_puts(&s.sql, " where true");
	if (domain)
		buf_printf(&s.sql, " and %s.domain = $%d",
			   t->in_domain ? "d" : "t",
			   statement_param(&s, DB_TEXT(domain)));
	for (size_t i = 0; i < n; i++) {
		buf_puts(&s.sql, " and coalesce(");
		if (filters[i].field == t->fields)
			sql_name(&s.sql, t, "t");
		else
			sql_field(&s.sql, filters[i].field);
		buf_printf(&s.sql, ", '') = $%d",
			   statement_param(&s, DB_TEXT(filters[i].value)));
	}
	buf_printf(&s.sql, " order by %s", t->in_domain ? "d.domain, " : "");
	buf_printf(&s.sql, "(%s", "");
	sql_key(&s.sql, t);
	buf_puts(&s.sql, ") collate \"C\"");
	rc = statement_run(db, &s, r, e);
	statement_release(&s);
	return rc;
}

/* --- what points to it ------------------------------------------------ */

static int
add_users(struct db *db, const struct entity *t, const struct entity_link *l,
	  const char *id, struct buf *out, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	struct db_result *r = NULL;
	int rc, rows;

	buf_puts(&s.sql, "select ");
	sql_key(&s.sql, l->from);
	sql_from(&s.sql, l->from);
	buf_printf(&s.sql, " join voip.%s as o on ", t->table);
	entity_link_condition(&s.sql, l);
	buf_printf(&s.sql, " where o.id = $%d::text::bigint order by 1 limit 6",
		   statement_param(&s, DB_TEXT(id)));
	rc = statement_run(db, &s, &r, e);
	rows = rc == 0 ? db_rows(r) : 0;
	for (int i = 0; i < rows && i < 5; i++)
		buf_printf(out, "%s%s '%s'", out->len ? ", " : "",
			   l->from->name, db_value(r, i, 0));
	if (rows > 5)
		buf_puts(out, ", ...");
	db_result_free(r);
	statement_release(&s);
	return rc;
}

/* Parts of a whole go with it; what merely points to it keeps it. */
int
entity_users(struct db *db, const struct entity *t, const char *id,
	     struct buf *out, struct verr *e)
{
	struct entity_link links[ENTITY_LINKS];
	size_t n = entity_links(t, links);

	for (size_t i = 0; i < n; i++)
		if (!links[i].part &&
		    add_users(db, t, &links[i], id, out, e) == -1)
			return -1;
	return 0;
}
