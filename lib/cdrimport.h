/*
 * cdrimport: the files that mod_json_cdr leaves behind, into the queue.
 *
 * Layer domain.  FreeSWITCH writes a record to err-log-dir when every URL
 * refused it, and to log-dir when it was told to; nothing ever sends those
 * files.  It writes them in place: one that is not complete is left alone
 * until it is, or until it is older than `cdr_import_age`, when it will never
 * be (it becomes a dead letter).
 *
 * A file is moved to "imported/" below the directory when its record is
 * committed or in the spool, to "refused/" when it can never become anything
 * (cdraside.h), so a kill at any moment imports a batch again at worst, and
 * what is there twice is stored once.  One run at a time works on a directory;
 * a second says so and is done.  Links, pipes and sockets are left alone. Which
 * files: cdrfiles.h.
 */
#ifndef CDRIMPORT_H
#define CDRIMPORT_H

#include <stddef.h>

#include "cdrfilter.h"
#include "verr.h"

struct cdrimport_counts {
	size_t imported;
	size_t dead;    /* of those imported: as dead letters */
	size_t refused; /* moved to "refused/" */
	size_t left;    /* not complete, or not readable */
};

/* `row` and `arg` as of cdrfilter_run(); `row` may be NULL.  VERR_RETRY when a
 * record could be put nowhere: it is where it was; VERR_CONFIG when files could
 * not be moved. */
int cdrimport_run(const char *directory, cdrfilter_row_fn row, void *arg,
		  struct cdrimport_counts *counts, struct verr *e);

#endif
