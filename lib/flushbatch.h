/*
 * flushbatch: rows of the queue, parsed and ready to be stored.
 *
 * Layer domain.  Reading asks the database for nothing, so that a batch is
 * read while the server is at work on the one before it.  What is no CDR, or
 * of no time that is kept, is among `dead` with its reason.
 *
 *	flushbatch_init(&b, 5000, e);
 *	while ((r = ... QUEUE_COLUMNS ...))
 *		flushbatch_read(&b, r, &raw, e);
 *		... b.lines, b.rows, b.dead, b.ids ...
 *	flushbatch_release(&b);
 *
 * Nothing is borrowed from the result.
 */
#ifndef FLUSHBATCH_H
#define FLUSHBATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "cdr.h"
#include "db.h"
#include "flushraw.h"
#include "verr.h"

/* What is selected of voip.cdr_queue as q, in binary form. */
#define FLUSHBATCH_COLUMNS \
	"q.id::text, q.received_at::text, q.query_uuid, q.body"

/* The columns of a line of `lines`. */
#define FLUSHBATCH_COLUMN_NAME(id, column, type, sources) column ", "
#define FLUSHBATCH_LINE                                   CDR_FIELDS(FLUSHBATCH_COLUMN_NAME) "received_at, raw"

struct flushbatch_row {
	char id[24];
	size_t start; /* of its COPY line in `lines` */
	size_t len;
	int64_t start_us;
	bool keeps_raw;
	char leg_uuid[257];
	char start_time[40];
};

struct flushbatch_dead {
	char id[24];
	/* in `texts`, plus one; 0: null */
	size_t reason;
	size_t leg_uuid;
	size_t start_time;
};

struct flushbatch {
	int taken;      /* rows of the queue */
	size_t bytes;   /* of their bodies */
	char last[24];  /* the last one's id */
	struct buf ids; /* of all, an array of bigint */
	struct buf lines;
	struct flushbatch_row *rows;
	size_t row_count;
	struct flushbatch_dead *dead;
	size_t dead_count;
	long mismatched; /* ?uuid= is another than the body's */
	/* private */
	int most;
	struct cdr cdr;
	struct buf texts;
};

/* For results of at most `most` rows. */
int flushbatch_init(struct flushbatch *b, int most, struct verr *e);
void flushbatch_release(struct flushbatch *b);
void flushbatch_clear(struct flushbatch *b);

/* What it held is forgotten.  Setting: cdr_keep. */
int flushbatch_read(struct flushbatch *b, const struct db_result *r,
		    const struct flushraw *raw, struct verr *e);

/* A text of `dead`; borrowed until the next read. */
const char *flushbatch_text(const struct flushbatch *b, size_t place);

#endif
