/*
 * cdrqueue: rows for voip.cdr_queue, many in one statement.
 *
 * Layer domain.  A row is one CDR as it was received, byte for byte.  One with
 * a reason can never become a record: it goes to voip.cdr_dead instead, once
 * for each distinct body.  The same statement serves the endpoint (db_send),
 * the filter and the drainer (db_query), and has the same parameters however
 * many rows there are, so it is prepared once.
 */
#ifndef CDRQUEUE_H
#define CDRQUEUE_H

#include <stddef.h>

#include "buf.h"
#include "db.h"
#include "spool.h"
#include "verr.h"

struct cdrqueue_row {
	const char *body;
	size_t len;
	const char *received_at;  /* UTC, "2026-11-21T02:20:26.197174Z" */
	const char *peer;         /* where it came from, or NULL */
	const char *query_uuid;   /* of ?uuid= or a file's name, or NULL */
	const char *content_type; /* or NULL */
	const char *reason;       /* NULL, or why it is a dead letter */
};

/* Columns of the rows, as binary arrays; zero-initialise with the macro. */
#define CDRQUEUE_COLUMNS 6
struct cdrqueue_batch {
	struct buf columns[CDRQUEUE_COLUMNS];
	size_t count;
	size_t bytes; /* of the bodies */
};

void cdrqueue_init(struct cdrqueue_batch *b);
void cdrqueue_release(struct cdrqueue_batch *b);
/* Text that the database cannot hold is repaired (utf8.h); bodies are not. */
void cdrqueue_add(struct cdrqueue_batch *b, const struct cdrqueue_row *row);

#define CDRQUEUE_PARAMS (CDRQUEUE_COLUMNS + 1)
extern const char cdrqueue_sql[];
/* Borrowed from the batch; VERR_RETRY when an add had no memory. */
int cdrqueue_params(struct cdrqueue_batch *b,
		    struct db_param params[CDRQUEUE_PARAMS], struct verr *e);

/* Write the batch and wait for its commit. */
int cdrqueue_write(struct db *db, struct cdrqueue_batch *b, struct verr *e);

/* Connection options: what `cdr_durability` wants of a commit, the writer. */
void cdrqueue_db_options(struct db_options *o);

/* The moment now, in the form of received_at. */
void cdrqueue_now(char out[32]);

/* --- the spool -------------------------------------------------------- */

int
cdrqueue_stage(struct spool *s, const struct cdrqueue_row *row, struct verr *e);
/*
 * The database refuses this record for good: write it again as a dead letter,
 * or, when it is one, set it aside.
 */
int cdrqueue_condemn(struct spool *s, const char *name, const char *reason,
		     struct verr *e);
/*
 * Add the oldest records to the batch, at most `max` or 8 MiB.  `names` has
 * room for `max`; the caller frees each.  What is no record is a dead letter,
 * what cannot be read is passed over; -1 when nothing else is there.
 */
int cdrqueue_load(struct spool *s, struct cdrqueue_batch *b, size_t max,
		  char **names, size_t *count, struct verr *e);

#endif
