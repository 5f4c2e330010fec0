/*
 * entitysql: the pieces of SQL that the entity table gives.
 *
 * Layer domain; entityread and entitywrite put them together.  Identifiers are
 * the table's, values are parameters.  In every statement the row is "t", its
 * domain "d" and its parent "p".
 */
#ifndef ENTITYSQL_H
#define ENTITYSQL_H

#include "entity.h"

#define STATEMENT_VALUES 40

/* A statement that grows together with its parameters. */
struct statement {
	struct buf sql;
	struct db_param params[STATEMENT_VALUES * 3];
	int n;
	/* What parameters point to. */
	char *owned[STATEMENT_VALUES * 3];
	size_t nowned;
};

/* NULL-safe for what is zeroed but for `sql`, which is BUF_INIT. */
void statement_release(struct statement *s);
/* Add a parameter; its place, the 3 of "$3". */
int statement_param(struct statement *s, struct db_param p);
/* `r` may be NULL; else free it. */
int statement_run(struct db *db, struct statement *s, struct db_result **r,
		  struct verr *e);

/*
 * After a failed delete: what no entity is, such as recordings, can keep a row
 * too; then "policy 'Long' is in use by recordings".  `name` may be NULL.
 * Always -1.
 */
int statement_kept(const struct db *db, const struct entity *t,
		   const char *name, struct verr *e);

/* The entity that a reference points to. */
const struct entity *sql_referenced(const struct entity_field *f);
/* The name of a row of `alias`, as it stands in keys. */
void sql_name(struct buf *b, const struct entity *t, const char *alias);
/* The whole key of the row. */
void sql_key(struct buf *b, const struct entity *t);
/* A field as text; secrets masked. */
void sql_field(struct buf *b, const struct entity_field *f);
/* " from ..." with the joins that key and domain need. */
void sql_from(struct buf *b, const struct entity *t);
/* " where ..." for the one row of a key. */
void sql_where_key(struct statement *s, const struct entity *t,
		   const struct entity_key *key);

#endif
