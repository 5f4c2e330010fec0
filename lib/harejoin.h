/*
 * harejoin: a former primary comes back as a standby of its peer.
 *
 * Layer domain.  As far as rejoin_policy allows: pg_rewind, which does nothing
 * to a directory that has not diverged, else pg_basebackup into a new
 * directory.  The old one is renamed to NAME.TIME and kept, the oldest beyond
 * rejoin_copies is removed only when the new one streams.  PostgreSQL is
 * stopped when this is called.
 */
#ifndef HAREJOIN_H
#define HAREJOIN_H

#include "hastate.h"

/* The caller has the lock.  `s->kept` is saved along the way. */
int ha_rejoin(struct ha_state *s, const char *why, struct verr *e);

#endif
