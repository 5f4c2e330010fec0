#include "hasteps.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "hajournal.h"
#include "hamove.h"
#include "hanode.h"
#include "hapeer.h"
#include "harejoin.h"
#include "hasync.h"
#include "log.h"
#include "pgcontrol.h"

/* One transition waits for another one. */
#define LOCK_WAIT_MS INT64_C(60000)
/* After asking the peer the facts are looked at again. */
#define ROUNDS 4

/*
 * While the pair streams both remember its timeline, from which promotions are
 * counted: the track file has room for few.
 */
static int
keep_base(struct ha_outcome *o, struct verr *e)
{
	struct ha_state *s = &o->state;
	const struct ha_state *peer = &o->peer;
	bool runs = s->pg == HA_PG_PRIMARY ||
		    (s->pg == HA_PG_STANDBY && s->streaming);
	bool together =
		(s->pg == HA_PG_STANDBY && s->streaming) ||
		(s->pg == HA_PG_PRIMARY && o->facts.peer == HA_PEER_STANDBY &&
		 peer->streaming && peer->timeline == s->timeline);

	if ((!together || s->kept.base == s->timeline) &&
	    (!runs || s->kept.generation == s->timeline))
		return 0;
	if (together)
		s->kept.base = s->timeline;
	if (runs)
		s->kept.generation = s->timeline;
	return ha_kept_save(&s->kept, e);
}

static int
ask(struct verr *e)
{
	struct ha_state peer;

	if (ha_peer_ask(HA_ASK_DEMOTE, conf_ms("fence_timeout"), &peer, e) == 0)
		return 0;
	/* Not the last word: the facts are looked at again. */
	log_warning("peer: %s", e->msg);
	return 0;
}

static int
fence(struct ha_outcome *o, const char *why, struct verr *e)
{
	int rc = ha_move_fence(o, why, e);

	if (rc == -1 && o->facts.policy == HA_CONSISTENCY)
		return verr_wrap(e, "not promoted, the peer may still write");
	return ha_move_promote(o, why, e);
}

/* --- transitions ------------------------------------------------------ */

/* False when the facts must be looked at again. */
static bool
act(struct ha_outcome *o, int *rc, struct verr *e)
{
	const char *why = o->row->why;

	*rc = 0;
	switch (o->row->action) {
	case HA_HOLD:
		*rc = ha_move_hold(o, why, e);
		if (*rc == 0)
			*rc = ha_sync_tend(&o->state, &o->facts, &o->peer, e);
		break;
	case HA_PROMOTE:
		*rc = ha_move_promote(o, why, e);
		break;
	case HA_FENCE:
		*rc = fence(o, why, e);
		break;
	case HA_DEMOTE:
		*rc = ha_move_demote(o, why, e);
		break;
	case HA_REJOIN:
		*rc = ha_rejoin(&o->state, NULL, why, e);
		break;
	case HA_START:
		*rc = pg_start(e);
		break;
	case HA_ASK:
		*rc = ask(e);
		return *rc == -1;
	case HA_REFUSE:
		*rc = verr_set(e, VERR_CONFLICT, "refused: %s", why);
		ha_journal_note(&o->state.kept, "refuse", why, e);
		break;
	case HA_NOTHING:
	case HA_WAIT:
	case HA_SWITCHOVER:
	case HA_ACTIONS:
		break;
	}
	return true;
}

/* Keepalived's word is remembered even when nothing is done about it. */
static int
remember(struct ha_outcome *o, enum ha_vrrp vrrp, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;

	if (*k->doing && ha_journal_note(k, "resume", k->doing, e) == -1)
		return -1;
	if ((vrrp == HA_VRRP_NONE || k->vrrp == vrrp) && !*k->doing)
		return 0;
	if (vrrp != HA_VRRP_NONE)
		k->vrrp = vrrp;
	*k->doing = *k->step = '\0';
	return ha_kept_save(k, e);
}

int
ha_transition(enum ha_event event, enum ha_vrrp vrrp, bool silent,
	      struct ha_outcome *o, struct verr *e)
{
	int lock = ha_lock(LOCK_WAIT_MS, e), rc = -1;
	bool ended = false;

	if (lock == -1)
		return -1;
	for (int round = 0; round < ROUNDS && !ended; round++) {
		if (ha_facts_gather_now(event, silent, o, e) == -1 ||
		    remember(o, vrrp, e) == -1)
			break;
		o->row = ha_plan(&o->facts);
		if (event == HA_ON_TICK && keep_base(o, e) == -1)
			break;
		ended = act(o, &rc, e);
	}
	if (!ended && rc == 0)
		rc = verr_set(e, VERR_CONFLICT,
			      "the peer still writes although it was asked to "
			      "stop");
	close(lock);
	return rc;
}
