#include "entitysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
statement_release(struct statement *s)
{
	for (size_t i = 0; i < s->nowned; i++)
		free(s->owned[i]);
	buf_release(&s->sql);
}

/* The place of a parameter, "$3". */
int
statement_param(struct statement *s, struct db_param p)
{
	s->params[s->n++] = p;
	return s->n;
}

int
statement_run(struct db *db, struct statement *s, struct db_result **r,
	      struct verr *e)
{
	if (buf_failed(&s->sql))
		return verr_set(e, VERR_RETRY, "out of memory");
	return db_query(db, r, s->sql.data, s->n, s->params, e);
}

int
statement_kept(const struct db *db, const struct entity *t, const char *name,
	       struct verr *e)
{
	static const char before[] = "on table \"";
	const char *table = NULL;
	char text[64];

	for (const char *p = e->msg; (p = strstr(p, before)) != NULL;)
		table = p += strlen(before);
	if (strcmp(db_sqlstate(db), "23503") != 0 || !table)
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(table, "\""), table);
	if (!name)
		return verr_set(e, VERR_CONFLICT,
				"a %s that would go is in use by %s", t->name,
				text);
	return verr_set(e, VERR_CONFLICT, "%s '%s' is in use by %s", t->name,
			name, text);
}

/* --- pieces ----------------------------------------------------------- */

const struct entity *
sql_referenced(const struct entity_field *f)
{
	return entity_find(f->words);
}

/* What a row of `alias` is called, for people and for keys. */
void
sql_name(struct buf *b, const struct entity *t, const char *alias)
{
	const struct entity_field *key = t->fields;

	if (key->type == ENTITY_REFERENCE)
		buf_printf(b,
			   "(select k.%s from voip.%s as k"
			   " where k.id = %s.%s)",
			   sql_referenced(key)->fields->column,
			   sql_referenced(key)->table, alias, key->column);
	else
		buf_printf(b, "%s.%s::text", alias, key->column);
}

void
sql_key(struct buf *b, const struct entity *t)
{
	if (t->parent) {
		sql_name(b, entity_find(t->parent), "p");
		buf_puts(b, " || '/' || ");
	}
	sql_name(b, t, "t");
	if (t->in_domain)
		buf_puts(b, " || '@' || d.domain");
}

void
sql_from(struct buf *b, const struct entity *t)
{
	buf_printf(b, " from voip.%s as t", t->table);
	if (t->in_domain)
		buf_puts(b, " join voip.domains as d on d.id = t.domain_id");
	if (t->parent)
		buf_printf(b, " join voip.%s as p on p.id = t.%s",
			   entity_find(t->parent)->table, t->parent_column);
}

void
sql_where_key(struct statement *s, const struct entity *t,
	      const struct entity_key *key)
{
	buf_puts(&s->sql, " where ");
	/* The column itself, so that the unique index serves. */
	if (t->fields->type == ENTITY_TEXT)
		buf_printf(&s->sql, "t.%s", t->fields->column);
	else
		sql_name(&s->sql, t, "t");
	buf_printf(&s->sql, " = $%d", statement_param(s, DB_TEXT(key->name)));
	if (t->in_domain)
		buf_printf(&s->sql, " and d.domain = $%d",
			   statement_param(s, DB_TEXT(key->domain)));
	if (t->parent) {
		buf_puts(&s->sql, " and ");
		sql_name(&s->sql, entity_find(t->parent), "p");
		buf_printf(&s->sql, " = $%d",
			   statement_param(s, DB_TEXT(key->parent)));
	}
}

/* A field as text. */
void
sql_field(struct buf *b, const struct entity_field *f)
{
	switch (f->type) {
	case ENTITY_REFERENCE:
		buf_printf(b, "(select ");
		sql_name(b, sql_referenced(f), "r");
		buf_printf(b, " from voip.%s as r where r.id = t.%s)",
			   sql_referenced(f)->table, f->column);
		break;
	case ENTITY_PASSWORD:
	case ENTITY_SEALED:
	case ENTITY_HASHED:
		buf_printf(b, "case when t.%s is not null then '********' end",
			   f->column);
		break;
	case ENTITY_TIME:
		buf_printf(b,
			   "to_char(t.%s at time zone 'UTC',"
			   " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
			   f->column);
		break;
	case ENTITY_CIDRS:
		buf_printf(b, "array_to_string(t.%s, ',')", f->column);
		break;
	default:
		buf_printf(b, "t.%s::text", f->column);
		break;
	}
}
