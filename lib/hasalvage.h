/*
 * hasalvage: what only an old data directory has, into files.
 *
 * Layer domain.  Before a directory is rewound, and by hand.  Its own history
 * and the other side's say where they part, its WAL whether anything was
 * committed since; then its server is started by itself (pgalone.h) and asked
 * for the rows (halost.h).  They are written to
 *
 *	failover_state_dir/salvage/TIME-tlN/cdr_queue.cdr.jsonl
 *	                                    cdr.cdr.jsonl
 *	                                    cdr_dead.cdr.jsonl
 *	                                    recordings.jsonl, audit.jsonl
 *	                                    manifest.json
 *
 * mode 0600, fsynced, in a directory that gets its name when all is there.  A
 * relation without a row has no file.  manifest.json says what was found, and
 * has the digest of pg_control: a directory on which nothing has run since is
 * not salvaged twice, so a rewind that was cut off half-way is no reason to
 * look into what it left.
 */
#ifndef HASALVAGE_H
#define HASALVAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "halineage.h"
#include "halost.h"
#include "out.h"

struct ha_salvage {
	bool apart;  /* it has a history of its own since the fork */
	bool before; /* `path` is of an earlier run */
	uint64_t fork;
	uint64_t last;                  /* where its last record begins */
	uint32_t timeline;              /* of its own since then */
	size_t transactions;            /* committed since, of all databases */
	char first_at[40], last_at[40]; /* when, or "" */
	struct ha_lost_counts lost;
	char path[PATH_MAX]; /* of the files, or "": there are none */
	int64_t took_ms;
};

/*
 * `other` leads to the other side's server.  Two errors matter: VERR_INPUT,
 * this directory does not give its rows (not within `timeout_ms`, not
 * recoverable, WAL gone); everything else, such as VERR_RETRY, the other side
 * or the disk: try again.  The caller has the lock, and nothing runs in the
 * directory.
 */
int ha_salvage(const char *directory, struct db *other, int64_t timeout_ms,
	       struct ha_salvage *s, struct verr *e);

/*
 * The first half of it, which starts nothing and needs no lock: is there
 * anything, and since when.  A server may run in the directory; `own`, a
 * connection to it, gets the rows counted; NULL: they are not.
 */
int ha_salvage_look(const char *directory, struct db *own, struct db *other,
		    int64_t timeout_ms, struct ha_salvage *s, struct verr *e);

#endif
