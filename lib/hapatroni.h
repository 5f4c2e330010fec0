/*
 * hapatroni: a node whose PostgreSQL belongs to Patroni (ha_engine=patroni).
 *
 * Layer domain.  Patroni decides which server is primary, starts, stops and
 * rewinds it.  What is left is the address and the services: the track file
 * "isolated" lets only Patroni's leader have the address, and whoever has it
 * and is the leader runs the services of a primary.
 *
 * Asked is this node's REST API at `patroni_address` (Patroni's documentation,
 * "Patroni REST API"): GET /primary is 200 only on a primary that holds the
 * leader's lock, GET /patroni tells role, state and timeline.  When it does not
 * answer, this node is no leader.
 */
#ifndef HAPATRONI_H
#define HAPATRONI_H

#include <stdbool.h>

#include "hafacts.h"

struct ha_patroni {
	bool answers;
	bool leader;    /* primary with the lock */
	bool paused;    /* patronictl pause */
	char role[32];  /* "primary", "replica"... as Patroni has it */
	char state[32]; /* "running", "starting"... */
	int64_t timeline;
	char why[256]; /* when it does not answer */
};

/* ha_engine is patroni. */
bool ha_is_patroni(void);

void ha_patroni_ask(struct ha_patroni *p);

/* As ha_transition(), for such a node. */
int ha_patroni_transition(enum ha_event event, enum ha_vrrp vrrp,
			  struct ha_outcome *o, struct verr *e);

/* For a command that is Patroni's: VERR_CONFLICT with a hint that names
 * patronictl's `instead`; 0 when the engine is our own. */
int
ha_patroni_refuses(const char *command, const char *instead, struct verr *e);

/* What it would do now: for people. */
const struct ha_row *
ha_patroni_plan(const struct ha_patroni *p, bool master, bool held);

#endif
