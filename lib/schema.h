/*
 * schema: the state of the database against the SQL files compiled in.
 *
 * Layer domain.  Three sorts of files (sqlfiles.h):
 *   cluster.sql      roles; belongs to the whole cluster, may be repeated
 *   NNNN-topic.sql   migrations, each applied once, in one transaction
 *   grant.sql        rights and settings of one database, may be repeated
 *
 * voip.schema_version has a row for each migration with the SHA-256 of its
 * text.  Whoever changes anything holds an advisory lock, so two at once come
 * one after the other; a killed run leaves what its last transaction left.
 *
 * Connect as a superuser (or as one who may create roles and databases).
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <stdbool.h>

#include "verr.h"

enum schema_state {
	SCHEMA_APPLIED,
	SCHEMA_PENDING, /* known to the program, not in the database */
	SCHEMA_CHANGED, /* applied with another text */
	SCHEMA_UNKNOWN, /* in the database, not known: a newer program's */
};

struct schema_row {
	int version;
	char name[64];
	enum schema_state state;
	char applied_at[40]; /* UTC, ISO 8601; "" when it is not */
	char applied_by[64];
};

typedef void (*schema_row_fn)(const struct schema_row *row, void *arg);

const char *schema_state_name(enum schema_state state);

/* Calls `fn` for each migration; `*current` when all are applied. */
int schema_status(bool *current, schema_row_fn fn, void *arg, struct verr *e);

/*
 * Bring the database up to date; with `create`, the roles and the database
 * first.  `fn` is called for each migration that was applied.  VERR_CONFLICT
 * when an applied migration has another text or the database is newer.
 */
int schema_upgrade(bool create, schema_row_fn fn, void *arg, struct verr *e);

/* Only grant.sql, for a database made from a template. */
int schema_grant(struct verr *e);

#endif
