/*
 * entitybulk: many rows of the directory at once.
 *
 * Layer domain.  One object stands for one row: what it is, its key, and the
 * fields that can be written.  Secrets have names of their own there, because
 * what is kept of them is not what was given: the hashes of a password, and
 * FIELD_sealed, in base64, for what is kept encrypted.
 *
 * A reference is the name alone within the row's own domain, and NAME@DOMAIN
 * when the name itself holds an '@'.
 */
#ifndef ENTITYBULK_H
#define ENTITYBULK_H

#include "entity.h"

/* More than any entity has. */
#define BULK_COLUMNS 64

enum bulk_kind {
	BULK_VALUE,  /* a field as it is written */
	BULK_HASH,   /* what a password is kept as */
	BULK_SEALED, /* ciphertext, in base64 */
};

/* One column of a row as files have it. */
struct bulk_column {
	char name[64];
	const struct entity_field *field;
	enum bulk_kind kind;
	const char *column; /* of the table */
};

/* The columns of an entity that are written, the key's left out. */
size_t
bulk_columns(struct bulk_column columns[BULK_COLUMNS], const struct entity *t);

/* Without `secrets` neither what is kept of them nor the fields themselves. */
bool bulk_is_exported(const struct bulk_column *c, bool secrets);

/*
 * The entities so that each comes after those that it points to; ends with
 * NULL.  `order` has room for every entity and the NULL.
 */
#define BULK_ENTITIES 64
void bulk_order(const struct entity *order[BULK_ENTITIES]);

/*
 * Hand each row to `fn`: column 0 is the key, then those of `columns` that are
 * exported.  `domain` may be NULL.  In a transaction of the caller; rows come
 * in the order in which domains and parents were added, and there in that of
 * their keys.
 */
int bulk_export(struct db *db, const struct entity *t, const char *domain,
		bool secrets, db_row_fn fn, void *arg, struct verr *e);

/* Can the entity's rows be of a domain? */
bool bulk_has_domain(const struct entity *t);

#endif
