/*
 * hasync: whether commits wait for the standby.
 *
 * Layer domain.  sync_mode says it: `async` never touches the server's
 * setting; `sync-or-degrade` waits while a standby streams, and does not when
 * it is known to be gone (it says so itself, or a witness sees this node, or
 * failover_policy prefers availability); `strict` always waits, so a primary
 * without a standby takes no writes.  Each change is a line of the journal.
 */
#ifndef HASYNC_H
#define HASYNC_H

#include "db.h"
#include "hastate.h"

/* Before a promotion, on the server that is to be promoted. */
int ha_sync_promote(struct db *db, const char *names, struct verr *e);

/*
 * Now and then, on the primary with the address.  With `strict` on a standby,
 * too: a server that learns it while it is promoted may acknowledge a commit
 * before its checkpointer has heard of it.
 */
int ha_sync_tend(const struct ha_state *s, const struct ha_facts *f,
		 const struct ha_state *peer, struct verr *e);

#endif
