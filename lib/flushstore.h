/*
 * flushstore: a batch into voip.cdr, voip.cdr_raw and voip.cdr_dead.
 *
 * Layer domain.  Within the caller's transaction.  The rows are copied into a
 * temporary table, flushstore_sql, which each session needs, and inserted
 * where (start_time, leg_uuid) is new.  What the tables refuse is found by
 * halving, and becomes a dead letter as what was one before.
 *
 *	flushstore_init(&s, db);
 *	for each transaction
 *		if (flushstore_batch(&s, &batch, &counts, e) == -1)
 *			flushstore_forget(&s);
 *
 * Setting: cdr_keep_raw.
 */
#ifndef FLUSHSTORE_H
#define FLUSHSTORE_H

#include <stdbool.h>

#include "db.h"
#include "flush.h"
#include "flushbatch.h"
#include "flushraw.h"
#include "verr.h"

#define FLUSHSTORE_MONTHS (200 * 12) /* from 2000 on, as cdr.c takes them */

extern const char flushstore_sql[];

struct flushstore {
	struct db *db;
	struct flushraw raw;
	/* Called while the server inserts; it must not use `db`. */
	void (*meanwhile)(void *arg);
	void *arg;
	/* private: partitions that are known to be there */
	bool months[FLUSHSTORE_MONTHS];
};

/* `db` is borrowed. */
void flushstore_init(struct flushstore *s, struct db *db);
/* After a rollback: what the transaction made is gone with it. */
void flushstore_forget(struct flushstore *s);

int flushstore_batch(struct flushstore *s, const struct flushbatch *b,
		     struct flush_counts *counts, struct verr *e);

#endif
