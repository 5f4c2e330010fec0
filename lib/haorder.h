/*
 * haorder: what an operator, or another program for him, has one node do.
 *
 * Layer domain.  Each takes the lock itself and gathers the facts; the table
 * is not asked, but an order that could make two primaries is refused.
 */
#ifndef HAORDER_H
#define HAORDER_H

#include "hafacts.h"

/* A primary is left as it is; not while the peer writes: VERR_CONFLICT. */
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
