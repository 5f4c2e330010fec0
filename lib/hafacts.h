/*
 * hafacts: what the plan asks for, gathered.
 *
 * Layer domain.  Our own state, the peer's word, the witnesses' when it has
 * none, the settings.  Waits at most for its deadlines; nothing is changed.
 */
#ifndef HAFACTS_H
#define HAFACTS_H

#include "hastate.h"

/* What was decided, for people and for the peer. */
struct ha_outcome {
	struct ha_facts facts;
	const struct ha_row *row; /* the last one */
	struct ha_state state;    /* afterwards */
	struct ha_state peer;     /* when it has answered */
	char peer_why[300];       /* why it has not, or not so, or "" */
	int64_t asked_ms;         /* the peer: CLOCK_BOOTTIME */
};

/* Whether what is known about the peer is of now: this process may have stood
 * still, and the peer been promoted meanwhile. */
bool ha_facts_are_fresh(const struct ha_outcome *o);

int ha_facts_gather(enum ha_event event, struct ha_outcome *o, struct verr *e);
/* What a state of keepalived is for the plan; HA_ON_TICK for HA_VRRP_NONE. */
enum ha_event ha_event_of(enum ha_vrrp vrrp);

/* A tick is what keepalived said last, when that was not acted upon. */
void ha_facts_want(struct ha_outcome *o);
/*
 * For a transition: our own server is given less time to answer where it makes
 * no difference.  `waited_ms`: so long the peer has been asked in vain
 * by now, one question after the other.
 */
int ha_facts_gather_now(enum ha_event event, int64_t waited_ms,
			struct ha_outcome *o, struct verr *e);

#endif
