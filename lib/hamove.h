/*
 * hamove: what a decision consists of, step by step.
 *
 * Layer domain.  The caller has the lock and has gathered the facts; `o` tells
 * afterwards what this node is.  Each step is in the journal before it is done
 * and can be done twice, so whoever was killed in one begins anew.
 */
#ifndef HAMOVE_H
#define HAMOVE_H

#include "hafacts.h"

/* Stop writing at once; the node is marked as fenced before anything else. */
int ha_move_demote(struct ha_outcome *o, const char *why, struct verr *e);
int ha_move_promote(struct ha_outcome *o, const char *why, struct verr *e);
/* A primary with the address: what goes with it. */
int ha_move_hold(struct ha_outcome *o, const char *why, struct verr *e);
/* The peer, from outside: its power, its port of the switch. */
int ha_move_fence(struct ha_outcome *o, const char *why, struct verr *e);

#endif
