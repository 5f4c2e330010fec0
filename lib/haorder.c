#include "haorder.h"

#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "hajournal.h"
#include "hamove.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hapeer.h"
#include "harejoin.h"
#include "haresume.h"
#include "pgcontrol.h"

/* The lock, with the facts under it and the end of what was cut off.  Under
 * Patroni each order is refused, and patronictl's word for it named. */
static int
begin(const char *order, const char *instead, struct ha_outcome *o,
      struct verr *e)
{
	int lock;

	if (ha_patroni_refuses(order, instead, e) == -1)
		return -1;
	lock = ha_lock(HA_LOCK_MS, e);
	if (lock != -1 && (ha_facts_gather(HA_ON_TICK, o, e) == -1 ||
			   ha_resume(&o->state.kept, e) == -1)) {
		close(lock);
		return -1;
	}
	return lock;
}

static const char *
peer_word(const struct ha_outcome *o)
{
	return ha_value_name(HA_FACT_PEER,
			     (size_t)__builtin_ctz(o->facts.peer));
}

/* An operator knows more than the table, but not that two may write. */
static int
promote(struct ha_outcome *o, const char *why, struct verr *e)
{
	const struct ha_state *s = &o->state;

	if (s->pg == HA_PG_PRIMARY)
		return 0;
	if (s->pg != HA_PG_STANDBY)
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL is a '%s' here, no standby that "
				"runs: there is nothing to promote\n"
				"hint: voip-failover explain",
				ha_role_word(s->pg));
	if (o->facts.peer &
	    (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER | HA_PEER_ASTRAY))
		return verr_set(
			e, VERR_CONFLICT,
			"the peer is '%s': two would write\n"
			"hint: 'voip-failover switchover' on the primary, or "
			"'voip-failover fence' here first",
			peer_word(o));
	/* It lives, and nobody knows whether it writes. */
	if (o->facts.peer == HA_PEER_UNCLEAR &&
	    o->facts.policy == HA_CONSISTENCY)
		return verr_set(
			e, VERR_CONFLICT,
			"the peer may write, its answer cannot be used: "
			"%.*s\n"
			"hint: mend that, or switch the other node off; "
			"'--set failover_policy=availability' promotes all the "
			"same",
			(int)strcspn(o->peer_why, "\n"), o->peer_why);
	return ha_move_promote(o, why, e);
}

int
ha_promote(const char *why, struct ha_outcome *o, struct verr *e)
{
	int lock = begin("promotion", "failover --candidate NODE", o, e), rc;

	if (lock == -1)
		return -1;
	rc = promote(o, why, e);
	close(lock);
	return rc;
}

int
ha_demote(const char *why, struct ha_outcome *o, struct verr *e)
{
	int lock = begin("demotion", "switchover", o, e), rc;

	if (lock == -1)
		return -1;
	rc = ha_move_demote(o, why, e);
	close(lock);
	return rc;
}

static int
fence_peer(struct ha_outcome *o, const char *why, bool *by_command,
	   struct verr *e)
{
	struct verr said = VERR_INIT;

	*by_command = false;
	if (o->facts.peer == HA_PEER_NONE)
		return verr_set(e, VERR_CONFIG,
				"setting 'peer_address' is empty: there is no "
				"peer to fence");
	if (ha_peer_ask(HA_ASK_DEMOTE, conf_ms("fence_timeout"), &o->peer,
			&said) == 0 &&
	    !o->peer.writable && o->peer.pg != HA_PG_HUNG)
		return ha_journal_note(&o->state.kept, "peer fenced", why, e);
	*by_command = true;
	if (o->facts.fence == HA_FENCE_NONE)
		return verr_set(e, VERR_RETRY,
				"the peer may still write: %.400s\n"
				"hint: switch it off, or set 'fence_command'",
				*said.msg ? said.msg : "it did not stop");
	return ha_move_fence(o, why, e);
}

int
ha_fence_peer(const char *why, bool *by_command, struct ha_outcome *o,
	      struct verr *e)
{
	int lock = begin("fencing", "failover", o, e), rc;

	if (lock == -1)
		return -1;
	rc = fence_peer(o, why, by_command, e);
	close(lock);
	return rc;
}

static int
come_back(const char *policy, bool *was_standby, struct ha_outcome *o,
	  struct verr *e)
{
	struct ha_state *s = &o->state;

	*was_standby = s->pg == HA_PG_STANDBY && s->streaming;
	if (*was_standby && !s->kept.fenced && !s->kept.held)
		return 0;
	if (*was_standby) {
		s->kept.fenced = s->kept.trusted = s->kept.held = false;
		return ha_kept_save(&s->kept, e);
	}
	if (o->facts.peer != HA_PEER_PRIMARY && o->facts.peer != HA_PEER_NEWER)
		return verr_set(e, VERR_CONFLICT,
				"there is nobody to come back to: the peer is "
				"'%s'\n"
				"hint: voip-failover explain",
				peer_word(o));
	if (s->pg == HA_PG_PRIMARY || s->pg == HA_PG_HUNG)
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL may still write here\n"
				"hint: 'voip-failover demote' stops it");
	return ha_rejoin(s, policy, "an operator asks", e);
}

int
ha_come_back(const char *policy, bool *was_standby, struct ha_outcome *o,
	     struct verr *e)
{
	int lock = begin("rejoin", "reinit CLUSTER NODE", o, e), rc;

	if (lock == -1)
		return -1;
	rc = come_back(policy, was_standby, o, e);
	close(lock);
	return rc;
}

static int
trust(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;

	if (o->state.pg != HA_PG_DOWN_PRIMARY &&
	    o->state.pg != HA_PG_DOWN_STANDBY)
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL runs here: there is nothing to "
				"allow");
	if (o->facts.mark == HA_TORN)
		return verr_set(e, VERR_CONFLICT,
				"the data directory was left half rewound: "
				"nothing may start in it\n"
				"hint: 'voip-failover rejoin --policy "
				"reclone' replaces it");
	if (o->facts.peer & (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER))
		return verr_set(e, VERR_CONFLICT,
				"the peer is a primary, or may be one\n"
				"hint: 'voip-failover rejoin' comes back as "
				"its standby, 'voip-failover fence' stops it");
	k->fenced = false;
	k->trusted = true;
	if (ha_kept_save(k, e) == -1 || pg_unmark_standby(e) == -1)
		return -1;
	return ha_journal_note(k, "unfence", why, e);
}

int
ha_trust(const char *why, struct ha_outcome *o, struct verr *e)
{
	int lock = begin("unfence", "failover --candidate NODE", o, e), rc;

	if (lock == -1)
		return -1;
	rc = trust(o, why, e);
	close(lock);
	return rc;
}
