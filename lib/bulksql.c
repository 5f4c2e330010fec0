#include "bulksql.h"

#include <stdio.h>
#include <string.h>

#include "entitysql.h"

int
bulk_sql_run(struct bulk *b, struct buf *sql, struct verr *e)
{
	int rc = buf_failed(sql) ? verr_set(e, VERR_RETRY, "out of memory")
				 : db_script(b->db, sql->data, e);

	buf_clear(sql);
	return rc;
}

void
bulk_sql_literal(struct buf *sql, const char *text, size_t max)
{
	buf_putc(sql, '\'');
	for (size_t i = 0; i < max && text[i]; i++) {
		if (text[i] == '\'')
			buf_putc(sql, '\'');
		buf_putc(sql, text[i]);
	}
	buf_putc(sql, '\'');
}

static const char *
default_of(const struct bulk_table *tab, size_t i)
{
	return tab->defaults[i] ? tab->defaults[i] : "null";
}

/* --- joins ------------------------------------------------------------ */

static void
join_row(struct buf *sql, const struct bulk_table *tab)
{
	const struct entity *t = tab->t;

	buf_printf(sql, " left join voip.%s as t on ", t->table);
	if (t->parent)
		buf_printf(sql, "t.%s = p.id and ", t->parent_column);
	else if (t->in_domain)
		buf_puts(sql, "t.domain_id = d.id and ");
	buf_printf(sql, "t.%s = %s", t->fields->column,
		   t->fields->type == ENTITY_REFERENCE ? "k.id" : "s.x_name");
}

static void
join_named(struct buf *sql, const struct entity *to, const char *alias,
	   const char *name)
{
	buf_printf(sql, " left join voip.%s as %s on %s.%s = %s", to->table,
		   alias, alias, to->fields->column, name);
	if (to->in_domain)
		buf_printf(sql, " and %s.domain_id = d.id", alias);
}

void
bulk_sql_from(struct buf *sql, const struct bulk_table *tab)
{
	const struct entity *t = tab->t;
	char alias[32], name[96];

	buf_printf(sql, " from pg_temp.stage_%s as s", t->table);
	if (t->in_domain)
		buf_puts(sql, " left join voip.domains as d"
			      " on d.domain = s.x_domain");
	if (t->parent)
		join_named(sql, entity_find(t->parent), "p", "s.x_parent");
	if (t->fields->type == ENTITY_REFERENCE)
		join_named(sql, sql_referenced(t->fields), "k", "s.x_name");
	join_row(sql, tab);
	for (size_t i = 0; i < tab->n; i++) {
		const struct bulk_column *c = &tab->slots[i];

		if (c->field->type != ENTITY_REFERENCE ||
		    !bulk_is_given(tab, i))
			continue;
		snprintf(alias, sizeof(alias), "r%zu", i);
		snprintf(name, sizeof(name), "s.%s", c->column);
		join_named(sql, sql_referenced(c->field), alias, name);
	}
}

/* --- the key ---------------------------------------------------------- */

void
bulk_sql_key(struct buf *sql, const struct entity *t)
{
	if (t->parent)
		buf_puts(sql, "s.x_parent || '/' || ");
	buf_puts(sql, "s.x_name::text");
	if (t->in_domain)
		buf_puts(sql, " || '@' || s.x_domain");
}

void
bulk_sql_key_columns(struct buf *sql, const struct entity *t)
{
	if (t->parent)
		buf_printf(sql, "d.id as x_domain_id, p.id as %s, ",
			   t->parent_column);
	else if (t->in_domain)
		buf_puts(sql, "d.id as domain_id, ");
	buf_printf(sql, "%s as %s",
		   t->fields->type == ENTITY_REFERENCE ? "k.id" : "s.x_name",
		   t->fields->column);
}

/* --- slots ------------------------------------------------------------ */

void
bulk_sql_given(struct buf *sql, size_t i)
{
	buf_printf(sql, "s.x_given & %llu <> 0",
		   (unsigned long long)((uint64_t)1 << i));
}

/* A column that is never null and follows another one when left empty. */
static bool
is_derived(const struct bulk_column *c)
{
	return strcmp(c->column, "need_media") == 0;
}

static void
add_derived(struct buf *sql, const struct bulk_table *tab)
{
	for (size_t i = 0; i < tab->n; i++)
		if (strcmp(tab->slots[i].column, "type") == 0) {
			buf_puts(sql, "(");
			bulk_sql_new(sql, tab, i);
			buf_puts(sql, ") <> 'user'");
		}
}

static void
add_empty(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	if (is_derived(&tab->slots[i]))
		add_derived(sql, tab);
	else
		buf_puts(sql, default_of(tab, i));
}

static void
filled(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	const struct bulk_column *c = &tab->slots[i];
	bool fill = c->field->flags & ENTITY_DEFAULT || is_derived(c);

	if (fill)
		buf_puts(sql, "coalesce(");
	if (c->field->type == ENTITY_REFERENCE)
		buf_printf(sql, "r%zu.id", i);
	else
		buf_printf(sql, "s.%s", c->column);
	if (fill) {
		buf_puts(sql, ", ");
		add_empty(sql, tab, i);
		buf_puts(sql, ")");
	}
}

void
bulk_sql_new(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	bool any = bulk_is_given(tab, i);

	if (any && tab->given_all >> i & 1) {
		filled(sql, tab, i);
		return;
	}
	buf_puts(sql, "case");
	if (any) {
		buf_puts(sql, " when ");
		bulk_sql_given(sql, i);
		buf_puts(sql, " then ");
		filled(sql, tab, i);
	}
	buf_puts(sql, " when t.id is null then ");
	add_empty(sql, tab, i);
	buf_printf(sql, " else t.%s end", tab->slots[i].column);
}

void
bulk_sql_differs(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	const struct bulk_column *c = &tab->slots[i];

	buf_puts(sql, "(");
	bulk_sql_given(sql, i);
	buf_puts(sql, " and (");
	/* Files hold whole seconds. */
	if (c->field->type == ENTITY_TIME)
		buf_printf(sql, "date_trunc('second', t.%s)", c->column);
	else
		buf_printf(sql, "t.%s", c->column);
	buf_puts(sql, " is distinct from ");
	filled(sql, tab, i);
	/* A name that leads nowhere is looked at, too. */
	if (c->field->type == ENTITY_REFERENCE)
		buf_printf(sql, " or s.%s is not null and r%zu.id is null",
			   c->column, i);
	buf_puts(sql, "))");
}

/* --- for people ------------------------------------------------------- */

void
bulk_sql_old_text(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	sql_field(sql, tab->slots[i].field);
}

void
bulk_sql_new_text(struct buf *sql, const struct bulk_table *tab, size_t i)
{
	const struct bulk_column *c = &tab->slots[i];

	if (entity_is_secret(c->field))
		buf_printf(sql,
			   "case when w.%s is not null then '********' end",
			   c->column);
	else if (c->field->type == ENTITY_REFERENCE)
		buf_printf(sql, "s.%s", c->column);
	else if (c->field->type == ENTITY_CIDRS)
		buf_printf(sql, "array_to_string(w.%s, ',')", c->column);
	else if (c->field->type == ENTITY_TIME)
		buf_printf(sql,
			   "to_char(w.%s at time zone 'UTC',"
			   " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
			   c->column);
	else
		buf_printf(sql, "w.%s::text", c->column);
}
