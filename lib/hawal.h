/*
 * hawal: what the WAL of a directory says since a position.
 *
 * Layer domain.  pg_waldump(1) reads it, whether the server runs or not: the
 * transactions that were committed after the position, and the blocks of
 * tables that were written.  A transaction that was committed after it may have
 * written before, so reading begins earlier (HA_WAL_BEFORE), and a block in the
 * list says only that something of these transactions may be there.
 */
#ifndef HAWAL_H
#define HAWAL_H

#include <stdint.h>

#include "halineage.h"
#include "verr.h"

/* How far before the fork, at least, where there is that much. */
#define HA_WAL_BEFORE (UINT64_C(16) << 20)

struct ha_wal_block {
	uint32_t database;
	uint32_t filenode;
	uint32_t block;
};

struct ha_wal {
	uint64_t last;     /* where the last record begins; 0: there is none */
	size_t commits;    /* transactions after the fork */
	char first_at[40]; /* when the first and the last of them were */
	char last_at[40];  /* committed, by this node's clock, or "" */
	int64_t *xids;     /* of them and their subtransactions */
	size_t xid_count;
	struct ha_wal_block *blocks; /* sorted, each once */
	size_t block_count;
	size_t xid_size, block_size; /* private */
};

/*
 * Since `lsn`, where `l->timelines[place]` leaves the other side's history.
 * VERR_INPUT: the WAL back to there is gone.  The caller releases it in any
 * case.
 */
int
ha_wal_scan(struct ha_wal *w, const char *directory, const struct ha_lineage *l,
	    size_t place, uint64_t lsn, int64_t timeout_ms, struct verr *e);
void ha_wal_release(struct ha_wal *w);

#endif
