/*
 * entityclone: many rows from one, in one statement.
 *
 * Layer domain.  The first row is written by entity_add(), with every check
 * and every message; entity_clone() copies its columns for further keys of the
 * same domain, but for those fields that vary.  In a transaction of the caller.
 */
#ifndef ENTITYCLONE_H
#define ENTITYCLONE_H

#include "entity.h"

/* Rows of one statement, at most. */
#define ENTITY_CLONES 1000

/* A field with a value for each new row. */
struct entity_varying {
	const struct entity_field *field; /* TEXT, PASSWORD or REFERENCE */
	/* NULL: of a reference, what has the row's own name */
	const char *const *values;
};

int entity_clone(struct db *db, const struct entity *t,
		 const struct entity_key *from, const char *const *names,
		 size_t n, const struct entity_varying *varying,
		 size_t nvarying, struct verr *e);

/*
 * Which of these names there are in the domain, sorted byte by byte; free `*r`.
 */
int entity_existing(struct db *db, struct db_result **r, const struct entity *t,
		    const char *domain, const char *const *names, size_t n,
		    struct verr *e);

#endif
