/*
 * hasteps: from an event to what is done about it.
 *
 * Layer domain.  ha_transition() takes the lock, gathers the facts, takes the
 * row of the plan and does it, again as long as the row says so.  It waits:
 * `voip-failover follow` runs it in a worker.  What it was doing when it was
 * killed is in ha_kept; the next transition notes that and plans anew, since
 * each step can be done twice.
 */
#ifndef HASTEPS_H
#define HASTEPS_H

#include "hafacts.h"

/*
 * `vrrp` is what keepalived said by the time this began.  What it has said
 * since, while others had the lock, counts instead.
 *
 * `waited_ms`: see ha_facts_gather_now().
 */
int ha_transition(enum ha_event event, enum ha_vrrp vrrp, int64_t waited_ms,
		  struct ha_outcome *o, struct verr *e);

/*
 * The services that this node should run by what it is now, see haduty.h; with
 * the lock, when nobody has it.  May take long, and may be killed at any
 * moment: it is done again.
 */
int ha_tend(struct verr *e);

#endif
