/*
 * halost: the rows that only one of two servers has.
 *
 * Layer domain.  HA_LOST is the one table: which relations are looked through,
 * what makes a row the same on both sides, and how a row is written.  Only the
 * blocks that the WAL names since the fork are read, and in them only the rows
 * of transactions that were committed since, so the time depends on what was
 * lost and not on what is there.  What the other side has by key is left out;
 * sequences went on there as well, so a number alone is no key.
 *
 * A row is a line of JSON that begins with {"salvaged":"NAME"; see
 *cdrsalvaged.h. The forms:
 *
 *	BODY  the bytes of a CDR as they were received ("body", or "body_base64"
 *	      when they are no UTF-8), and what came with them: what
 *	      voip-cdr-ingest(8) reads
 *	CDR   the same for a record that is stored already: the body that was
 *	      kept of it, or one that makes the same columns (cdrcompose.h)
 *	ROW   the columns, for people
 */
#ifndef HALOST_H
#define HALOST_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "db.h"
#include "hawal.h"
#include "verr.h"

/* id, relation, form */
#define HA_LOST(X)                       \
	X(QUEUE, "cdr_queue", BODY)      \
	X(CDR, "cdr", CDR)               \
	X(DEAD, "cdr_dead", BODY)        \
	X(RECORDINGS, "recordings", ROW) \
	X(AUDIT, "audit", ROW)

#define HA_LOST_ID(id, relation, form) HA_LOST_##id,
enum ha_lost_relation { HA_LOST(HA_LOST_ID) HA_LOST_COUNT };
#undef HA_LOST_ID

const char *ha_lost_name(enum ha_lost_relation r);
/* Whether voip-cdr-ingest reads it. */
bool ha_lost_is_cdr(enum ha_lost_relation r);

/* A line with its newline; -1 with `e` set ends it all. */
typedef int (*ha_lost_fn)(enum ha_lost_relation r, const struct buf *line,
			  void *arg, struct verr *e);

struct ha_lost_counts {
	size_t rows[HA_LOST_COUNT];
	size_t all;
	bool compared; /* with the other side; else it may have some of them */
};

/*
 * `own` is asked for the rows, `other` (NULL: nobody) for what it has.  `fn`
 * may be NULL: they are only counted.  Until loop_now_ms() is `end_ms`
 * (VERR_INPUT).
 */
int ha_lost_rows(struct db *own, struct db *other, const struct ha_wal *wal,
		 int64_t end_ms, ha_lost_fn fn, void *arg,
		 struct ha_lost_counts *counts, struct verr *e);

#endif
