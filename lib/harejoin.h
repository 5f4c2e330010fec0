/*
 * harejoin: a former primary comes back as a standby of its peer.
 *
 * Layer domain.  As far as rejoin_policy allows: pg_rewind, which does nothing
 * to a directory that has not diverged, else pg_basebackup into a new
 * directory, which changes places with the old one at once.  Before that the
 * rows that only the old one has are salvaged (hakeep.h); one that does not
 * give them is not rewound but kept, whatever the policy says.  Nothing is ever
 * removed: the old one is kept as NAME.TIME, and when there are rejoin_copies
 * of those, an operator must make room first.  PostgreSQL is stopped when this
 * is called.
 */
#ifndef HAREJOIN_H
#define HAREJOIN_H

#include "hastate.h"

/*
 * The caller has the lock.  `s->kept` is saved along the way.  `policy` is
 * "rewind" or "reclone", which does not try to rewind; NULL: what the setting
 * says, where "reclone" is the last resort.
 */
int ha_rejoin(struct ha_state *s, const char *policy, const char *why,
	      struct verr *e);

#endif
