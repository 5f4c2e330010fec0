/*
 * bulksql: the pieces of SQL that bring staged rows to their entity's table.
 *
 * Layer domain; private to bulk.  In every statement the staged row is "s", the
 * row that it is about "t", its domain "d", its parent "p", what its key refers
 * to "k", and what slot 3 refers to "r3".
 */
#ifndef BULKSQL_H
#define BULKSQL_H

#include "bulk.h"

/* Statements without a result; `sql` is empty afterwards. */
int bulk_sql_run(struct bulk *b, struct buf *sql, struct verr *e);

/* A message of ours as a constant, `max` bytes of it at most. */
void bulk_sql_literal(struct buf *sql, const char *text, size_t max);

/* " from stage as s ... join ..." with every alias. */
void bulk_sql_from(struct buf *sql, const struct bulk_table *tab);
/* The key of s, as text. */
void bulk_sql_key(struct buf *sql, const struct entity *t);
/* What the columns of the key become: domain, parent, key; with `sep`. */
void bulk_sql_key_columns(struct buf *sql, const struct entity *t);
/* Slot i as the line has it, as it is written, and whether that differs. */
void bulk_sql_given(struct buf *sql, size_t i);
void bulk_sql_new(struct buf *sql, const struct bulk_table *tab, size_t i);
void bulk_sql_differs(struct buf *sql, const struct bulk_table *tab, size_t i);
/* Slot i of t, or of want's row w, for people. */
void bulk_sql_old_text(struct buf *sql, const struct bulk_table *tab, size_t i);
void bulk_sql_new_text(struct buf *sql, const struct bulk_table *tab, size_t i);

static inline bool
bulk_is_given(const struct bulk_table *tab, size_t i)
{
	return tab->given_any >> i & 1;
}

#endif
