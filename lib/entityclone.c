#include "entityclone.h"

#include <string.h>

#include "account.h"
#include "entitysql.h"

#define ARRAYS (STATEMENT_VALUES + 4)

/* A statement with the arrays that its parameters point to. */
struct clone {
	struct statement s;
	struct buf columns;  /* "username, full_name" */
	struct buf values;   /* "n.v1, p.full_name" */
	struct buf unnested; /* "$2::text[], $3::text[]" */
	struct buf arrays[ARRAYS];
	size_t narrays;
};

static void
clone_release(struct clone *c)
{
	for (size_t i = 0; i < c->narrays; i++)
		buf_release(&c->arrays[i]);
	buf_release(&c->columns);
	buf_release(&c->values);
	buf_release(&c->unnested);
	statement_release(&c->s);
}

static void
add_array(struct buf *b, const char *const *texts, size_t n)
{
	db_array_begin(b, DB_ARRAY_TEXT);
	for (size_t i = 0; i < n; i++)
		db_array_add(b, texts[i], strlen(texts[i]));
	db_array_end(b);
}

/* One more column of n; its place there. */
static size_t
unnest(struct clone *c, const struct buf *array)
{
	buf_printf(&c->unnested, "%s$%d::text[]", c->unnested.len ? ", " : "",
		   statement_param(&c->s, DB_BYTES(array->data, array->len)));
	return c->narrays;
}

static struct buf *
new_array(struct clone *c)
{
	c->arrays[c->narrays] = BUF_INIT;
	return &c->arrays[c->narrays++];
}

static void
add_texts(struct clone *c, const char *column, const char *const *texts,
	  size_t n)
{
	struct buf *b = new_array(c);

	add_array(b, texts, n);
	buf_printf(&c->columns, ", %s", column);
	buf_printf(&c->values, ", n.v%zu", unnest(c, b));
}

static int
add_passwords(struct clone *c, const char *const *names, const char *domain,
	      const char *const *passwords, size_t n, struct verr *e)
{
	static const char *const columns[] = { "ha1", "ha1b", "ha1_sha256" };
	struct buf *b[3];
	struct account a;

	for (size_t i = 0; i < 3; i++) {
		b[i] = new_array(c);
		db_array_begin(b[i], DB_ARRAY_TEXT);
	}
	for (size_t i = 0; i < n; i++) {
		if (account_hash(&a, names[i], domain, passwords[i], e) == -1)
			return -1;
		db_array_add(b[0], a.ha1, strlen(a.ha1));
		db_array_add(b[1], a.ha1b, strlen(a.ha1b));
		db_array_add(b[2], a.ha1_sha256, strlen(a.ha1_sha256));
	}
	for (size_t i = 0; i < 3; i++) {
		db_array_end(b[i]);
		buf_printf(&c->columns, ", %s", columns[i]);
		buf_printf(&c->values, ", n.v%td", b[i] - c->arrays + 1);
		unnest(c, b[i]);
	}
	return 0;
}

/* What has the new row's own name. */
static void
add_namesake(struct clone *c, const struct entity_field *f)
{
	const struct entity *t = sql_referenced(f);

	buf_printf(&c->columns, ", %s", f->column);
	buf_printf(&c->values,
		   ", (select r.id from voip.%s as r where r.domain_id ="
		   " p.domain_id and r.%s = n.v1)",
		   t->table, t->fields->column);
}

static const struct entity_varying *
find_varying(const struct entity_varying *v, size_t n,
	     const struct entity_field *f)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].field == f)
			return &v[i];
	return NULL;
}

static int
add_columns(struct clone *c, const struct entity *t, const char *domain,
	    const char *const *names, size_t n,
	    const struct entity_varying *varying, size_t nvarying,
	    struct verr *e)
{
	buf_puts(&c->columns, "domain_id");
	buf_puts(&c->values, "p.domain_id");
	add_texts(c, t->fields->column, names, n);
	for (const struct entity_field *f = t->fields + 1; f->name; f++) {
		const struct entity_varying *v =
			find_varying(varying, nvarying, f);

		if (f->flags & ENTITY_READONLY)
			continue;
		if (v && f->type == ENTITY_PASSWORD) {
			if (add_passwords(c, names, domain, v->values, n, e) ==
			    -1)
				return -1;
		} else if (v && !v->values) {
			add_namesake(c, f);
		} else if (v) {
			add_texts(c, f->column, v->values, n);
		} else if (f->type != ENTITY_PASSWORD) {
			buf_printf(&c->columns, ", %s", f->column);
			buf_printf(&c->values, ", p.%s", f->column);
		}
	}
	return 0;
}

static void
put_together(struct clone *c, const struct entity *t)
{
	struct buf *b = &c->s.sql;
	bool failed = buf_failed(&c->columns) || buf_failed(&c->values) ||
		      buf_failed(&c->unnested);

	buf_printf(b, "insert into voip.%s (%s) select %s", t->table,
		   c->columns.data, c->values.data);
	buf_printf(b, " from voip.%s as p, unnest(%s) as n (", t->table,
		   c->unnested.data);
	for (size_t i = 0; i < c->narrays; i++) {
		buf_printf(b, "%sv%zu", i ? ", " : "", i + 1);
		failed = failed || buf_failed(&c->arrays[i]);
	}
	buf_puts(b, ") where p.id = $1::text::bigint");
	b->failed = b->failed || failed;
}

int
entity_clone(struct db *db, const struct entity *t,
	     const struct entity_key *from, const char *const *names, size_t n,
	     const struct entity_varying *varying, size_t nvarying,
	     struct verr *e)
{
	struct clone c = { .s.sql = BUF_INIT,
			   .columns = BUF_INIT,
			   .values = BUF_INIT,
			   .unnested = BUF_INIT };
	char id[24];
	int rc = entity_id(db, t, from, id, e);

	statement_param(&c.s, DB_TEXT(id));
	if (rc == 0)
		rc = add_columns(&c, t, from->domain, names, n, varying,
				 nvarying, e);
	if (rc == 0) {
		put_together(&c, t);
		rc = statement_run(db, &c.s, NULL, e);
	}
	clone_release(&c);
	return rc;
}

int
entity_existing(struct db *db, struct db_result **r, const struct entity *t,
		const char *domain, const char *const *names, size_t n,
		struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	struct buf array = BUF_INIT;
	int rc;

	*r = NULL;
	add_array(&array, names, n);
	buf_printf(&s.sql, "select t.%s", t->fields->column);
	sql_from(&s.sql, t);
	buf_printf(&s.sql, " where d.domain = $%d",
		   statement_param(&s, DB_TEXT(domain)));
	buf_printf(&s.sql,
		   " and t.%s = any ($%d::text[]) order by t.%s collate \"C\"",
		   t->fields->column,
		   statement_param(&s, DB_BYTES(array.data, array.len)),
		   t->fields->column);
	if (buf_failed(&array))
		s.sql.failed = true;
	rc = statement_run(db, &s, r, e);
	buf_release(&array);
	statement_release(&s);
	return rc;
}
