/*
 * pgreport: the PostgreSQL of this node as rows for people and for pipes.
 *
 * Layer domain.  One row for the node, one for each standby that receives from
 * it, one for each replication slot: kind, name, role, state, timeline, lsn,
 * lag_bytes, lag_ms, detail.
 */
#ifndef PGREPORT_H
#define PGREPORT_H

#include <stdio.h>

#include "db.h"
#include "out.h"
#include "verr.h"

/* The columns, for who adds rows of its own. */
enum pgreport_column {
	PGREPORT_KIND,
	PGREPORT_NAME,
	PGREPORT_ROLE,
	PGREPORT_STATE,
	PGREPORT_TIMELINE,
	PGREPORT_LSN,
	PGREPORT_LAG_BYTES,
	PGREPORT_LAG_MS,
	PGREPORT_DETAIL,
	PGREPORT_COLUMNS,
};

/*
 * `more` (may be NULL) adds rows after ours.
 *
 * When the server does not answer, the row is what `data_directory` tells ("":
 * no row), and the error says why it does not.
 */
int
pgreport(struct db *db, const char *data_directory, FILE *file,
	 enum out_format format, void (*more)(struct out *out), struct verr *e);

#endif
