#include "hasteps.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "hadrain.h"
#include "haduty.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "hamove.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hapeer.h"
#include "harejoin.h"
#include "haresume.h"
#include "hasync.h"
#include "log.h"
#include "loop.h"
#include "pairfile.h"
#include "pgcontrol.h"

/* After asking the peer the facts are looked at again. */
#define ROUNDS  4
#define TEND_MS INT64_C(2000)
/* Behind others' lock what was not heard of the peer became old. */
#define OLD_MS INT64_C(100)

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

/* Looked at again and again: told when it is something else. */
static int
refuse(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;

	if (strcmp(k->refused, why) != 0) {
		snprintf(k->refused, sizeof(k->refused), "%s", why);
		if (ha_journal_note(k, "refuse", why, e) == -1 ||
		    ha_kept_save(k, e) == -1)
			return -1;
	}
	return verr_set(e, VERR_CONFLICT, "refused: %s", why);
}

/* False when the facts must be looked at again. */
static bool
act(struct ha_outcome *o, int *rc, struct verr *e)
{
	const char *why = o->row->why;

	*rc = 0;
	if (o->row->action != HA_REFUSE)
		*o->state.kept.refused = '\0';
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
		*rc = refuse(o, why, e);
		break;
	case HA_NOTHING:
		if (o->state.pg == HA_PG_STANDBY && o->state.streaming)
			*rc = ha_sync_tend(&o->state, &o->facts, &o->peer, e);
		break;
	case HA_WAIT:
	case HA_SWITCHOVER:
	case HA_ACTIONS:
		break;
	}
	return true;
}

static void
take_last_word(enum ha_event *event, enum ha_vrrp *vrrp)
{
	enum ha_vrrp last = pairfile_vrrp();

	if (*vrrp == HA_VRRP_NONE || last == HA_VRRP_NONE || last == *vrrp)
		return;
	if (*event != HA_ON_TICK && *event == ha_event_of(*vrrp))
		*event = ha_event_of(last);
	*vrrp = last;
}

/* Keepalived's word is remembered even when nothing is done about it. */
static int
remember(struct ha_outcome *o, enum ha_vrrp vrrp, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	bool wanted = vrrp == HA_VRRP_MASTER && !k->held;

	if (ha_resume(k, e) == -1)
		return -1;
	if (vrrp == HA_VRRP_NONE || (k->vrrp == vrrp && k->wanted == wanted))
		return 0;
	k->vrrp = vrrp;
	k->wanted = wanted;
	return ha_kept_save(k, e);
}

/* A standby that streams is what a node that was fenced is to become. */
static int
clear_marker(struct ha_outcome *o, struct verr *e)
{
	struct ha_state *s = &o->state;

	if (s->pg != HA_PG_STANDBY || !s->streaming || s->kept.held ||
	    (!s->kept.fenced && !s->kept.trusted))
		return 0;
	s->kept.fenced = s->kept.trusted = false;
	return ha_kept_save(&s->kept, e);
}

/* -1: this node cannot keep what it knows; the row is found all the same. */
static int
decide(struct ha_outcome *o, enum ha_event event, enum ha_vrrp vrrp,
       struct verr *e)
{
	int rc = remember(o, vrrp, e);

	ha_facts_want(o);
	o->row = ha_plan(&o->facts);
	if (rc == 0 && event == HA_ON_TICK)
		rc = keep_base(o, e);
	if (rc == 0 && event == HA_ON_TICK)
		rc = clear_marker(o, e);
	return rc;
}

int
ha_transition(enum ha_event event, enum ha_vrrp vrrp, int64_t waited_ms,
	      struct ha_outcome *o, struct verr *e)
{
	int64_t begun = loop_now_ms();
	int lock, rc = -1;
	bool ended = false;

	if (ha_is_patroni())
		return ha_patroni_transition(event, vrrp, o, e);
	lock = ha_lock(HA_LOCK_MS, e);
	if (lock == -1)
		return -1;
	if (loop_now_ms() - begun > OLD_MS)
		waited_ms = 0;
	take_last_word(&event, &vrrp);
	for (int round = 0; round < ROUNDS && !ended; round++) {
		rc = -1;
		if (ha_facts_gather_now(event, waited_ms, o, e) == -1)
			break;
		rc = decide(o, event, vrrp, e);
		/* Nothing is begun that cannot be kept, but for the end of
		 * writing: the peer may wait for it. */
		if (rc == -1 && o->row->action != HA_DEMOTE)
			break;
		ended = act(o, &rc, e);
		waited_ms = 0;
	}
	if (!ended && rc == 0)
		rc = verr_set(e, VERR_CONFLICT,
			      "the peer still writes although it was asked to "
			      "stop");
	close(lock);
	return rc;
}

/* What a standby holds back for a peer that has a slot of its own there. */
static int
drop_slot(struct verr *e)
{
	const struct db_param p[] = { DB_TEXT(conf_str("peer_slot")) };
	struct db *db;
	int rc;

	if (!*conf_str("peer_slot"))
		return 0;
	db = ha_node_connection(TEND_MS, e);
	rc = db ? db_query(db, NULL,
			   "select pg_drop_replication_slot(slot_name)"
			   " from pg_replication_slots where slot_name = $1"
			   " and not active and slot_type = 'physical'",
			   1, p, e)
		: -1;
	db_free(db);
	return rc;
}

int
ha_tend(struct verr *e)
{
	struct ha_state s = { 0 };
	struct verr ignored = VERR_INIT;
	int lock = ha_lock(0, &ignored), rc;

	/* Whoever has the lock sees to it. */
	if (lock == -1)
		return 0;
	s.maintenance = ha_is_maintenance(NULL);
	rc = ha_kept_load(&s.kept, e);
	if (rc == 0)
		rc = ha_state_look(&s, TEND_MS, e);
	if (rc == 0 && ha_duty_is_due(&s) &&
	    (ha_duty_of(&s) == HA_DUTY_PRIMARY ||
	     ha_duty_now() != HA_DUTY_PRIMARY || !ha_drain_goes_on())) {
		rc = ha_duty_take(ha_duty_of(&s), e);
		if (rc == 0 && s.pg == HA_PG_STANDBY)
			rc = drop_slot(e);
	}
	close(lock);
	return rc;
}
