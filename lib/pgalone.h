/*
 * pgalone: the server of a stopped data directory, for reading, by itself.
 *
 * Layer domain.  It runs as a standby that follows nobody: no primary, no
 * archive, no TCP, a socket in a directory that only we may enter
 * ("voip-alone" in `failover_state_dir`), none of the site's libraries.  It
 * brings its own recovery to the end of its own WAL, and never writes a row.
 * It ends with whoever started it, also when that is killed; pg_rewind takes
 * the directory afterwards as one that was stopped cleanly.
 */
#ifndef PGALONE_H
#define PGALONE_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "db.h"
#include "verr.h"

struct pgalone {
	char directory[PATH_MAX];
	char run[PATH_MAX];
	pid_t pid; /* 0: it does not run */
};

/* 0: no server runs there, or one of ours that its starter left, which is
 * ended.  VERR_CONFLICT: another one does. */
int pgalone_clear(const char *directory, struct verr *e);

/*
 * Waits until `timeline` is replayed beyond `lsn`, at most `timeout_ms`
 * (VERR_RETRY).  Errors are those of pgalone_clear(), and VERR_INPUT: it
 * cannot be recovered, and what PostgreSQL says last.  `*db` is a connection to
 * `dbname`; the caller frees it with db_free() before pgalone_stop(), which is
 * called in any case.
 */
int pgalone_start(struct pgalone *a, const char *directory, uint32_t timeline,
		  uint64_t lsn, const char *dbname, int64_t timeout_ms,
		  struct db **db, struct verr *e);
void pgalone_stop(struct pgalone *a);

#endif
