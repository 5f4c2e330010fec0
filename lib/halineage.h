/*
 * halineage: where the histories of two servers part.
 *
 * Layer domain.  A server's history is the list of its timelines, each with the
 * position at which it was left for the next.  What an old primary wrote after
 * the fork, the position where its history leaves the other's, exists only in
 * its data directory.  Positions are 64-bit numbers here, and PostgreSQL's own
 * text ("0/3000148") for people.
 *
 * The timeline of a directory is the highest of its WAL segments and of
 * pg_control, which still has the old one just after a promotion; history files
 * tell nothing, a standby fetches those of timelines that it never was on.
 */
#ifndef HALINEAGE_H
#define HALINEAGE_H

#include <stdint.h>

#include "db.h"
#include "verr.h"

#define HA_LINEAGE_MAX 256

/* As text; PostgreSQL's form. */
#define HA_LSN_TEXT 24

struct ha_lineage {
	char system_id[24];
	/* of a directory only: */
	int64_t segment_bytes; /* of a WAL file */
	uint64_t reached;      /* there is WAL at least up to here */
	bool follows;          /* it was a standby, and may be behind */
	size_t count;
	struct ha_timeline {
		uint32_t id;
		uint64_t begin; /* of the first: 0 */
		uint64_t end;   /* of the last: UINT64_MAX */
	} timelines[HA_LINEAGE_MAX];
};

/* From the files of a server, which need not run. */
int ha_lineage_of_directory(struct ha_lineage *l, const char *directory,
			    struct verr *e);
/* Of a server that runs, primary or standby. */
int ha_lineage_of_server(struct ha_lineage *l, struct db *db, struct verr *e);

/*
 * Where `own` leaves `other`: the position, and the place in
 * `own->timelines` from which on it is alone.  VERR_CONFLICT: they never were
 * a pair; VERR_INPUT: one of the histories is damaged.  UINT64_MAX: `own` never
 * leaves the other.
 */
int
ha_lineage_fork(const struct ha_lineage *own, const struct ha_lineage *other,
		uint64_t *lsn, size_t *place, struct verr *e);

/* The same of a stopped or a running server's directory, which `own` tells
 * then, and of the server that `other` leads to. */
int
ha_lineage_part(struct ha_lineage *own, const char *directory, struct db *other,
		uint64_t *lsn, size_t *place, struct verr *e);

void ha_lsn_text(char text[HA_LSN_TEXT], uint64_t lsn);
/* False: it is none. */
bool ha_lsn_read(const char *text, uint64_t *lsn);

#endif
