/*
 * spool: a directory of records that survived the moment nobody could take
 * them.
 *
 * Layer I/O.  A record is a file of its own: written under a temporary name
 * (".tmp-..."), fsynced, renamed, and the directory fsynced, before
 * spool_put() returns.  Names sort by age: seconds, microseconds, pid,
 * counter.  A reader takes the oldest first and removes a file only after its
 * contents are safe elsewhere.  A writer holds a lock (flock) on its temporary
 * files, so spool_clean() can tell the leftovers of a killed one, which were
 * never acknowledged.
 *
 * File: the line "voip-spool 1 LENGTH", header lines "name: value", an empty
 * line, then LENGTH bytes, the record.
 */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

struct spool;

/* Creates the directory (0700) when it is missing.  `limit` in bytes, 0: none.
 */
struct spool *spool_open(const char *path, int64_t limit, struct verr *e);
void spool_close(struct spool *s);

struct spool_header {
	const char *name;
	const char *value;
};

/*
 * Durable when it returns 0.  VERR_RETRY: disk full or over the limit.
 * `headers` ends with a NULL name; values may not hold a newline.
 */
int spool_put(struct spool *s, const struct spool_header *headers,
	      const void *data, size_t len, struct verr *e);
/*
 * Several at once: spool_stage() writes and fsyncs each file, spool_publish()
 * renames all of them and fsyncs the directory once.  Staged files that are
 * not published are dropped by spool_discard().
 */
int spool_stage(struct spool *s, const struct spool_header *headers,
		const void *data, size_t len, struct verr *e);
int spool_publish(struct spool *s, struct verr *e);
void spool_discard(struct spool *s);

struct spool_record {
	char name[64];
	struct buf content; /* headers and bytes as in the file */
	const char *body;   /* in content */
	size_t body_len;
};
void spool_record_release(struct spool_record *r);
/* A header's value into `value`; false when it has none. */
bool spool_record_header(const struct spool_record *r, const char *name,
			 struct buf *value);

/* Names of at most `max` oldest records, in order; the caller frees the
 * array and each name. */
int spool_list(struct spool *s, size_t max, char ***names, size_t *count,
	       struct verr *e);
/*
 * VERR_NOTFOUND when another took it.  VERR_INPUT when it is no record: its
 * bytes are in content, to be released.
 */
int spool_read(struct spool *s, const char *name, struct spool_record *r,
	       struct verr *e);
int spool_remove(struct spool *s, const char *name, struct verr *e);
/* Move a file that nobody can take to "bad/" beside the others. */
int spool_set_aside(struct spool *s, const char *name, struct verr *e);

/* Cheap: kept up to date by this process, recounted by spool_list(). */
bool spool_is_empty(const struct spool *s);
int spool_usage(struct spool *s, size_t *count, int64_t *bytes, struct verr *e);
int spool_clean(struct spool *s, struct verr *e);

/*
 * One drainer: flock on ".lock".  Returns 1 when taken, 0 when another has it,
 * -1 on error.  Held until spool_unlock() or the process ends.
 */
int spool_lock(struct spool *s, struct verr *e);
void spool_unlock(struct spool *s);

#endif
