/* Rows into the temporary table of their entity. */
#include <stdio.h>
#include <string.h>

#include "bulk.h"

enum { CHUNK = 1 << 20 };

static const char *const types[] = {
	[ENTITY_TEXT] = "text",      [ENTITY_INT] = "integer",
	[ENTITY_BOOL] = "boolean",   [ENTITY_CHOICE] = "text",
	[ENTITY_JSON] = "jsonb",     [ENTITY_TIME] = "timestamptz",
	[ENTITY_CIDR] = "cidr",      [ENTITY_CIDRS] = "cidr[]",
	[ENTITY_REFERENCE] = "text", [ENTITY_PASSWORD] = "text",
	[ENTITY_SEALED] = "bytea",   [ENTITY_HASHED] = "text",
};

static int
create(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	const struct entity *t = tab->t;
	struct buf sql = BUF_INIT;
	int rc;

	buf_printf(&sql,
		   "create temporary table stage_%s (x_line integer,"
		   " x_record bigint, x_size integer, x_given bigint,"
		   " x_parent text, x_name %s, x_domain text",
		   t->table, types[t->fields->type]);
	for (size_t i = 0; i < tab->n; i++)
		buf_printf(&sql, ", %s %s", tab->slots[i].column,
			   types[tab->slots[i].field->type]);
	buf_puts(&sql, ")");
	rc = buf_failed(&sql) ? verr_set(e, VERR_RETRY, "out of memory")
			      : db_script(b->db, sql.data, e);
	buf_release(&sql);
	tab->staged = rc == 0;
	return rc;
}

int
bulk_stage_flush(struct bulk *b, struct bulk_table *tab, struct verr *e)
{
	char sql[128];
	int rc = -1;

	if (buf_failed(&tab->rows))
		return verr_set(e, VERR_RETRY, "out of memory");
	if (tab->rows.len == 0)
		return 0;
	snprintf(sql, sizeof(sql), "copy pg_temp.stage_%s from stdin",
		 tab->t->table);
	if ((tab->staged || create(b, tab, e) == 0) &&
	    db_copy_begin(b->db, sql, e) == 0 &&
	    db_copy_data(b->db, tab->rows.data, tab->rows.len, e) == 0)
		rc = db_copy_end(b->db, e);
	buf_clear(&tab->rows);
	return rc;
}

static void
add_text(struct buf *row, const char *s)
{
	buf_putc(row, '\t');
	db_copy_field(row, s, s ? strlen(s) : 0);
}

int
bulk_stage(struct bulk *b, struct bulk_table *tab, const struct bulk_record *r,
	   const struct entity_key *key, uint64_t given,
	   const char *const *slots, struct verr *e)
{
	struct buf *row = &tab->rows;

	buf_printf(row, "%ld\t%lld\t%zu\t%llu", r->line, (long long)r->offset,
		   r->size, (unsigned long long)given);
	add_text(row, key->parent);
	add_text(row, key->name);
	add_text(row, key->domain);
	for (size_t i = 0; i < tab->n; i++)
		add_text(row, slots[i]);
	buf_putc(row, '\n');
	tab->given_all = tab->lines ? tab->given_all & given : given;
	tab->given_any |= given;
	tab->lines++;
	return row->len < CHUNK ? 0 : bulk_stage_flush(b, tab, e);
}
