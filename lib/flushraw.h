/*
 * flushraw: the bodies of CDRs into voip.cdr_raw, for `cdr_keep_raw`.
 *
 * Layer domain.  The batch is in the temporary table cdr_batch, whose column
 * `raw` has the body without secrets, or null.  With the setting 0s nothing
 * here costs anything.
 *
 *	flushraw_init(&raw);
 *	for each record of a batch
 *		cdr.want_raw = flushraw_wants(&raw);
 *		... cdr_parse() ...
 *		if (flushraw_keeps(&raw, start_us)) ... its raw is copied ...
 *	for each whose raw is copied
 *		flushraw_partition(&raw, db, start_us, start_time, e);
 *	flushraw_store(&raw, db, e);
 *	... and flushraw_forget(&raw) when the transaction fails
 */
#ifndef FLUSHRAW_H
#define FLUSHRAW_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "verr.h"

#define FLUSHRAW_DAYS 16

struct flushraw {
	int64_t keep_us; /* 0: nothing is kept */
	/* private: days whose partition is known to be there */
	int64_t days[FLUSHRAW_DAYS];
};

/* Settings: cdr_keep_raw. */
void flushraw_init(struct flushraw *f);
void flushraw_forget(struct flushraw *f);

static inline bool
flushraw_wants(const struct flushraw *f)
{
	return f->keep_us > 0;
}

/* Is the record young enough? */
bool flushraw_keeps(const struct flushraw *f, int64_t start_us);
/* Make sure that its day has a partition; both are its start. */
int flushraw_partition(struct flushraw *f, struct db *db, int64_t start_us,
		       const char *start_time, struct verr *e);

/* Once for each leg, however often it comes. */
int flushraw_store(const struct flushraw *f, struct db *db, struct verr *e);

#endif
