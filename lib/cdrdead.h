/*
 * cdrdead: the dead letters, what can never become a leg as it is.
 *
 * Layer domain.  A letter leaves voip.cdr_dead in the transaction that queues
 * its body again, so it is in one place at every moment.
 */
#ifndef CDRDEAD_H
#define CDRDEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "db.h"
#include "verr.h"

/* Newest first: id, dead_at, received_at, peer, query_uuid, leg_uuid,
 * start_time, bytes, attempts, sqlstate, reason. */
#define CDRDEAD_COLUMNS 11
int cdrdead_list(struct db *db, struct db_result **r, unsigned limit,
		 struct verr *e);

/* The same columns of one; VERR_NOTFOUND. */
int cdrdead_show(struct db *db, struct db_result **r, const char *id,
		 struct verr *e);
/* Append the bytes as they came. */
int
cdrdead_body(struct db *db, const char *id, struct buf *body, struct verr *e);

/*
 * Back into the queue; `id` NULL: all.  With `body` instead of what came, for
 * one that was mended.  `*n` is how many; VERR_NOTFOUND when none.
 */
int cdrdead_retry(struct db *db, const char *id, const struct buf *body,
		  long *n, struct verr *e);
int cdrdead_drop(struct db *db, const char *id, long *n, struct verr *e);

#endif
