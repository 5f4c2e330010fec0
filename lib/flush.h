/*
 * flush: from voip.cdr_queue to voip.cdr, exactly once.
 *
 * Layer domain.  At most `cdr_workers` flushers are at work at once, over all
 * nodes: advisory locks are their places.  A batch is one transaction: rows in
 * the order they came, locked and stepping over those that another flusher has;
 * parsed; copied into a temporary table; inserted where (start_time, leg_uuid)
 * is new; and deleted from the queue.  Whatever dies on the way, the rows are
 * in the queue or in their table.
 *
 * Of a long queue the next batch is read, without locks, and parsed while the
 * server stores this one.  When it is deleted and a row of it is no longer
 * there, another flusher was faster: it is rolled back and taken anew.
 *
 * The queue is three tables in turn; the flusher turns them and truncates what
 * it has emptied, so that a forgotten transaction cannot make it grow.
 *
 * A row that can never be stored moves to voip.cdr_dead in the same
 * transaction: one that is no CDR, that started longer than `cdr_keep` ago or
 * more than a day ahead, or that the table refuses; the refused one is found
 * by halving.
 *
 * The bodies are kept beside the rows for `cdr_keep_raw` (flushraw.h).
 */
#ifndef FLUSH_H
#define FLUSH_H

#include <stdbool.h>

#include "verr.h"

struct flush;

struct flush_counts {
	long stored;
	long duplicates; /* were in voip.cdr already */
	long dead;
	bool busy; /* the last batch was left to others: all places are taken */
	long mismatched; /* ?uuid= is another than the body's; the body wins */
};

/* Settings: database, cdr_batch_size, cdr_batch_timeout, cdr_durability,
 * cdr_keep, cdr_keep_raw, cdr_workers.  `follow`: prepare for flush_follow().
 */
struct flush *flush_new(bool follow, struct verr *e);
void flush_free(struct flush *f);

/*
 * Until the queue is empty, or others empty it.  `stop_fd` (or -1) readable:
 * after the batch that is at work.  `counts` is added to also when it fails
 * later.
 */
int flush_run(struct flush *f, int stop_fd, struct flush_counts *counts,
	      struct verr *e);
/*
 * Until `stop_fd` is readable: each time somebody says that there is more, and
 * every cdr_batch_timeout.  While the database is away it waits for it.
 */
int flush_follow(struct flush *f, int stop_fd, struct flush_counts *counts,
		 struct verr *e);
/* What flush_run() would do with the rows that are there; changes nothing. */
int flush_dry_run(struct flush *f, struct flush_counts *counts, struct verr *e);

#endif
