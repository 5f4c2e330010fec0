/*
 * cdrfilter: CDRs from files and pipes into the queue.
 *
 * Layer domain.  Reads JSON documents one after the other, JSON lines, and the
 * files that FreeSWITCH set aside (also percent-encoded or base64, one record
 * a line).  Each record ends in the queue, in the spool when the database is
 * away, or is refused with a reason.  A file that is called UUID.cdr.json (or
 * a_UUID.cdr.json) gives its record that uuid, as ?uuid= does over HTTP.  A
 * line of cdrsalvaged.h is the row that it was.
 */
#ifndef CDRFILTER_H
#define CDRFILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "verr.h"

struct cdrfilter;

struct cdrfilter_row {
	const char *file;   /* "-" for standard input */
	size_t number;      /* of the record in the file, from 1 */
	const char *uuid;   /* of the file's name, or NULL */
	const char *status; /* queued, spooled, dead, refused, failed */
	const char *reason; /* or NULL */
};

typedef void (*cdrfilter_row_fn)(const struct cdrfilter_row *row, void *arg);

/*
 * All records of the files, of standard input without any.  VERR_INPUT when a
 * record was refused, VERR_RETRY when one could be put nowhere: run again, what
 * is there twice is stored once.
 */
int cdrfilter_run(int nfiles, const char **files, cdrfilter_row_fn fn,
		  void *arg, struct verr *e);

/*
 * The same, file by file: `fn` is called when a record's fate is decided, which
 * may be at a later file.  `file` is borrowed until then; "-" is standard
 * input.  cdrfilter_end() stores what is pending and tells of all as
 * cdrfilter_run() does; cdrfilter_free() drops what is pending.
 */
struct cdrfilter *cdrfilter_new(cdrfilter_row_fn fn, void *arg, struct verr *e);
int cdrfilter_file(struct cdrfilter *f, const char *file, struct verr *e);
/* The same of a file that is open. */
int cdrfilter_fd(struct cdrfilter *f, const char *file, int fd, struct verr *e);
/* Records whose fate is not decided yet. */
size_t cdrfilter_pending(const struct cdrfilter *f);
int cdrfilter_end(struct cdrfilter *f, struct verr *e);
void cdrfilter_free(struct cdrfilter *f);

/*
 * The next record in `data`: its start and length, and in `*used` how far it
 * was read.  False when there is none, or when its end has not come yet and
 * `at_end` is false.
 */
bool cdrfilter_split(const char *data, size_t len, bool at_end,
		     const char **record, size_t *record_len, size_t *used);

#endif
