/*
 * pgnode: the PostgreSQL of this node: what it is, and making it primary.
 *
 * Layer domain.  pgnode_look() asks the server over a `struct db` of the
 * caller's that leads to the node itself, never to "whoever is primary".
 * pgnode_postmaster() looks at the data directory instead, for a server that
 * does not answer.  Positions are PostgreSQL's own text ("0/3000148").
 *
 * Lag of a standby: bytes are those that the primary has announced and this
 * node has not replayed; seconds are 0 when there are none, so an idle pair
 * does not seem to fall behind, and unknown (-1) while nothing streams.
 */
#ifndef PGNODE_H
#define PGNODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "db.h"
#include "verr.h"

struct pgnode {
	bool primary;
	bool writable; /* primary, and transactions are read-write by default */
	bool replay_paused;
	bool streaming; /* a standby that receives WAL now */
	int64_t timeline;
	int64_t lag_bytes; /* of a standby; -1: unknown */
	int64_t lag_ms;    /* of a standby; -1: unknown */
	char system_id[24];
	char name[64];      /* cluster_name, or the address that answered */
	char lsn[24];       /* written by a primary, replayed by a standby */
	char upstream[128]; /* host:port that a standby receives from */
	char sync_standbys[256]; /* synchronous_standby_names */
};

int pgnode_look(struct db *db, struct pgnode *node, struct verr *e);

/* One of "writable", "read-only", "streaming", "paused", "disconnected". */
const char *pgnode_state(const struct pgnode *node);

/*
 * The standbys that receive from this node and its replication slots, as rows
 * of kind, name, state, lsn, lag_bytes, lag_ms, detail.  The caller frees the
 * result with db_result_free().
 */
int pgnode_peers(struct db *db, struct db_result **r, struct verr *e);

/*
 * Ask a standby to become primary; with `wait_ms` above 0 wait until a write
 * succeeds, VERR_RETRY when that takes longer.  `node` is what
 * pgnode_look() said, and what it says afterwards when it was waited for.
 * A node that is primary already is left alone: 0, unless it cannot be written
 * (VERR_CONFLICT).
 */
int pgnode_promote(struct db *db, struct pgnode *node, int64_t wait_ms,
		   struct verr *e);

/* From a data directory, without a connection. */
struct pgnode_postmaster {
	pid_t pid;      /* 0: no process */
	bool standby;   /* it would start, or did start, as a standby */
	bool alone;     /* it is one of pgalone.h, which nobody writes to */
	char state[32]; /* "down", or what it wrote: "ready", "starting"... */
};
int pgnode_postmaster(const char *data_directory, struct pgnode_postmaster *p,
		      struct verr *e);

/* Whether that process is PostgreSQL's and not a zombie. */
bool pgnode_is_live(long pid);

#endif
