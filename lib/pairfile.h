/*
 * pairfile: what voip-failover tells voip-healthd, by files in `health_dir`.
 *
 * Layer domain.  `vrrp` is keepalived's last word, `peer.json` the last signed
 * answer of the other node, or that there is none.  Each takes the place of
 * the former by a rename, and is only written when it says something else or
 * has grown old.
 */
#ifndef PAIRFILE_H
#define PAIRFILE_H

#include <stdbool.h>

#include "hastate.h"

/* A word of the peer may be believed for so long. */
#define PAIRFILE_VALID_MS INT64_C(5000)

struct pairfile_peer {
	bool known;   /* voip-failover runs and has asked lately */
	bool answers; /* then `state` is what it said */
	char why[256];
	int64_t at_ms; /* CLOCK_BOOTTIME */
	struct ha_state state;
};

int pairfile_tell_vrrp(enum ha_vrrp vrrp, struct verr *e);
/* The same by one of many: 1, and nothing is told, when one with a higher
 * `order` was there before.  voip-failover follow has the order 0. */
int pairfile_tell_vrrp_of(enum ha_vrrp vrrp, int64_t order, struct verr *e);
/* HA_VRRP_NONE: nothing was told. */
enum ha_vrrp pairfile_vrrp(void);

/* `state` is NULL when the peer does not answer, and `why` says more. */
int pairfile_tell_peer(const struct ha_state *state, const char *why,
		       struct verr *e);
void pairfile_peer(struct pairfile_peer *peer);

/*
 * Could the peer not do the work any better than a node on which something
 * fails?  With the reason in `why` when that is so; false when nothing is
 * known.  `primary`: this node has the primary now.  `lsn`: how far it had come
 * as a primary whose PostgreSQL ended, or "": a peer that lacks more of that
 * than health_lag_bytes is worse, unless failover_policy is availability.
 */
bool pairfile_is_worse(const struct pairfile_peer *peer, bool primary,
		       const char *lsn, const char **why);

#endif
