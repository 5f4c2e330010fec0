/*
 * bulkslot: the values of a row in the making, as their columns hold them.
 *
 * Layer domain.  A draft has a slot for each column of its table; putting a
 * value checks it by the entity's rules and turns it into what is stored:
 * hashes, sealed secrets, times in UTC, names of what it refers to.  A value
 * that is wrong is VERR_INPUT with the field's name.
 */
#ifndef BULKSLOT_H
#define BULKSLOT_H

#include "bulk.h"

struct bulk_text;

/* A row of an entity in the making; an extension's line may make two. */
struct bulk_draft {
	struct bulk *b;
	const struct bulk_record *r;
	struct bulk_table *tab;
	struct entity_key key;
	const char *key_text;
	uint64_t given;
	const char *slots[BULK_COLUMNS];
	struct bulk_text *owned; /* private */
	bool wrong;
};

void bulk_draft_release(struct bulk_draft *d);

/* Its number; bit of `given`. */
size_t bulk_slot(const struct bulk_table *tab, const char *column);
/* As it is; `text` is copied unless NULL. */
int bulk_put(struct bulk_draft *d, const char *column, const char *text,
	     struct verr *e);
/* As a person wrote it. */
int bulk_put_column(struct bulk_draft *d, const struct bulk_column *c,
		    const char *value, struct verr *e);

#endif
