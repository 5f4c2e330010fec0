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

#include "hastate.h"

/* What was decided, for people and for the peer. */
struct ha_outcome {
	struct ha_facts facts;
	const struct ha_row *row; /* the last one */
	struct ha_state state;    /* afterwards */
	struct ha_state peer;     /* when it has answered */
};

/* Everything that the plan asks for; waits at most for its deadlines. */
int ha_facts_gather(enum ha_event event, struct ha_outcome *o, struct verr *e);

int ha_transition(enum ha_event event, enum ha_vrrp vrrp, struct ha_outcome *o,
		  struct verr *e);

/* Single steps, for commands; they take the lock themselves. */
int ha_promote(const char *why, struct ha_outcome *o, struct verr *e);
int ha_demote(const char *why, struct ha_outcome *o, struct verr *e);
/* The peer's own word, or the fence command's. */
int ha_fence_peer(const char *why, bool *by_command, struct ha_outcome *o,
		  struct verr *e);
/* As a standby of a peer that writes; `policy` as for ha_rejoin(). */
int ha_come_back(const char *policy, bool *was_standby, struct ha_outcome *o,
		 struct verr *e);
/* This node may start as a primary, whatever was before; not when the peer is
 * one: VERR_CONFLICT. */
int ha_trust(const char *why, struct ha_outcome *o, struct verr *e);

#endif
