#include "hasteps.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "hanode.h"
#include "hapeer.h"
#include "harejoin.h"
#include "hasync.h"
#include "log.h"
#include "loop.h"
#include "pgcontrol.h"
#include "services.h"
#include "witness.h"

/* One transition waits for another one. */
#define LOCK_WAIT_MS    INT64_C(60000)
#define LOOK_MS         INT64_C(400)
#define KILL_PATIENCE   INT64_C(1500)
#define PROMOTE_WAIT_MS INT64_C(60000)
/* After asking the peer the facts are looked at again. */
#define ROUNDS 4

/* --- facts ------------------------------------------------------------ */

static enum ha_peer
look_at_peer(struct ha_outcome *o)
{
	struct verr why = VERR_INIT;

	if (!*conf_str("peer_address"))
		return HA_PEER_NONE;
	if (ha_peer_ask(HA_ASK_STATE, conf_ms("peer_timeout"), &o->peer,
			&why) == -1) {
		log_warning("peer: %s", why.msg);
		return HA_PEER_SILENT;
	}
	return ha_peer_of(&o->state, &o->peer);
}

static enum ha_witness
look_at_witnesses(void)
{
	const char *list = conf_str("witnesses");
	struct verr why = VERR_INIT;
	int seen;

	if (!*list)
		return HA_WITNESS_NONE;
	seen = witness_ask(list, conf_ms("witness_timeout"), &why);
	if (seen == -1)
		log_warning("witnesses: %s", why.msg);
	return seen == 1 ? HA_WITNESS_SEEN : HA_WITNESS_LOST;
}

static enum ha_mark
mark_of(const struct ha_kept *k)
{
	if (k->fenced)
		return HA_FENCED;
	return k->trusted ? HA_TRUSTED : HA_CLEAR;
}

int
ha_facts_gather(enum ha_event event, struct ha_outcome *o, struct verr *e)
{
	struct ha_facts *f = &o->facts;
	bool available =
		strcmp(conf_str("failover_policy"), "availability") == 0;

	memset(o, 0, sizeof(*o));
	if (ha_kept_load(&o->state.kept, e) == -1 ||
	    ha_state_look(&o->state, LOOK_MS, e) == -1)
		return -1;
	o->state.maintenance = ha_is_maintenance(NULL);
	*f = (struct ha_facts){
		.event = event,
		.pause = o->state.maintenance ? HA_MAINTENANCE : HA_RUNNING,
		.held = o->state.kept.held ? HA_HELD : HA_NOT_HELD,
		.pg = o->state.pg,
		.mark = mark_of(&o->state.kept),
		.peer = HA_PEER_SILENT,
		.witness = HA_WITNESS_NONE,
		.fence = *conf_str("fence_command") ? HA_FENCE_SET
						    : HA_FENCE_NONE,
		.policy = available ? HA_AVAILABILITY : HA_CONSISTENCY,
	};
	/* Whoever must stop does not wait for others' words. */
	if (ha_plan(f)->action == HA_DEMOTE)
		return 0;
	f->peer = look_at_peer(o);
	if (f->peer == HA_PEER_SILENT)
		f->witness = look_at_witnesses();
	return 0;
}

/* --- steps ------------------------------------------------------------ */

/* What keepalived weighs: the side that was promoted last is worth more. */
static int
tell_timeline(const struct ha_state *s, struct verr *e)
{
	int64_t worth = 0;

	if (s->pg == HA_PG_PRIMARY)
		worth = 1 + s->timeline -
			(s->kept.base ? s->kept.base : s->timeline);
	return ha_track("timeline", worth, e);
}

static int
demote(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct ha_journal j;
	int rc;

	/* Durable before anything else: whatever happens from here on, this
	 * node does not come back as a primary by itself. */
	k->fenced = true;
	k->trusted = false;
	if (ha_journal_begin(&j, k, HA_DEMOTE, why, e) == -1 ||
	    ha_journal_step(&j, "stop postgresql", e) == -1)
		return -1;
	rc = pg_kill(KILL_PATIENCE, e);
	if (rc == 0)
		rc = pg_mark_standby(e);
	if (rc == 0)
		rc = ha_track("timeline", 0, e);
	if (rc == 0) {
		k->held = false;
		o->state.pg = HA_PG_DOWN_STANDBY;
		o->state.writable = false;
		rc = ha_journal_step(&j, "stop services", e);
	}
	if (rc == 0)
		services_stop_all(conf_str("failover_services"), e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

/* A slot for the peer, so that it can come back. */
static int
make_slot(struct db *db, struct verr *e)
{
	const struct db_param p[] = { DB_TEXT(conf_str("peer_slot")) };

	if (!*conf_str("peer_slot"))
		return 0;
	return db_query(db, NULL,
			"select pg_create_physical_replication_slot($1, true)"
			" where not exists (select from pg_replication_slots"
			" where slot_name = $1)",
			1, p, e);
}

static int
promote_server(struct ha_outcome *o, struct verr *e)
{
	struct pgnode node;
	struct db *db = ha_node_connection(LOOK_MS, e);
	int rc = -1;

	if (!db)
		return -1;
	if (pgnode_look(db, &node, e) == 0)
		rc = ha_sync_promote(db, node.sync_standbys, e);
	if (rc == 0)
		rc = pgnode_promote(db, &node, PROMOTE_WAIT_MS, e);
	if (rc == 0)
		rc = make_slot(db, e);
	if (rc == 0) {
		o->state.pg = HA_PG_PRIMARY;
		o->state.writable = true;
		o->state.timeline = node.timeline;
	}
	db_free(db);
	return rc;
}

static int
promote(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct ha_journal j;
	int rc;

	/* Durable before it is so: a peer that comes back meanwhile must not
	 * take itself for the latest primary. */
	k->generation = o->state.timeline + 1;
	if (ha_journal_begin(&j, k, HA_PROMOTE, why, e) == -1 ||
	    ha_journal_step(&j, "promote postgresql", e) == -1)
		return -1;
	rc = promote_server(o, e);
	if (rc == 0) {
		k->held = true;
		k->fenced = k->trusted = false;
		k->generation = o->state.timeline;
		rc = tell_timeline(&o->state, e);
	}
	if (rc == 0)
		rc = ha_journal_step(&j, "start services", e);
	if (rc == 0)
		rc = services_start_all(conf_str("failover_services"), e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

static int
hold(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct ha_journal j;
	int rc;

	if ((o->facts.event == HA_ON_TICK || k->held) && !k->fenced)
		return tell_timeline(&o->state, e);
	/* Fenced: it was about to be stopped, and was not. */
	k->held = true;
	k->fenced = k->trusted = false;
	k->generation = o->state.timeline;
	if (ha_journal_begin(&j, k, HA_HOLD, why, e) == -1)
		return -1;
	rc = tell_timeline(&o->state, e);
	if (rc == 0)
		rc = services_start_all(conf_str("failover_services"), e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

/* --- the peer --------------------------------------------------------- */

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

/* From outside: its power, its port of the switch. */
static int
fence_by_command(struct ha_outcome *o, const char *why, struct verr *e)
{
	char node[96], reason[300];
	const char *const environment[] = { node, reason, NULL };
	struct buf said = BUF_INIT;
	struct ha_journal j;
	int status;

	snprintf(node, sizeof(node), "VOIP_NODE=%s", o->state.name);
	snprintf(reason, sizeof(reason), "VOIP_REASON=%s", why);
	if (ha_journal_begin(&j, &o->state.kept, HA_FENCE, why, e) == -1)
		return -1;
	status = command_run(conf_str("fence_command"), NULL, environment,
			     conf_ms("fence_timeout"), &said, e);
	if (status > 0)
		verr_set(e, VERR_RETRY, "fence_command: status %d: %.300s",
			 status, said.data);
	buf_release(&said);
	ha_journal_end(&j, status ? e->msg : NULL, e);
	return status ? -1 : 0;
}

static int
fence(struct ha_outcome *o, const char *why, struct verr *e)
{
	int rc = fence_by_command(o, why, e);

	if (rc == -1 && o->facts.policy == HA_CONSISTENCY)
		return verr_wrap(e, "not promoted, the peer may still write");
	return promote(o, why, e);
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
		*rc = hold(o, why, e);
		if (*rc == 0)
			*rc = ha_sync_tend(&o->state, &o->facts, &o->peer, e);
		break;
	case HA_PROMOTE:
		*rc = promote(o, why, e);
		break;
	case HA_FENCE:
		*rc = fence(o, why, e);
		break;
	case HA_DEMOTE:
		*rc = demote(o, why, e);
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
ha_transition(enum ha_event event, enum ha_vrrp vrrp, struct ha_outcome *o,
	      struct verr *e)
{
	int lock = ha_lock(LOCK_WAIT_MS, e), rc = -1;
	bool ended = false;

	if (lock == -1)
		return -1;
	for (int round = 0; round < ROUNDS && !ended; round++) {
		if (ha_facts_gather(event, o, e) == -1 ||
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

static int
do_one(int (*step)(struct ha_outcome *o, const char *why, struct verr *e),
       const char *why, struct ha_outcome *o, struct verr *e)
{
	int lock = ha_lock(LOCK_WAIT_MS, e), rc;

	if (lock == -1)
		return -1;
	rc = ha_facts_gather(HA_ON_TICK, o, e);
	if (rc == 0)
		rc = step(o, why, e);
	close(lock);
	return rc;
}

int
ha_promote(const char *why, struct ha_outcome *o, struct verr *e)
{
	return do_one(promote, why, o, e);
}

int
ha_demote(const char *why, struct ha_outcome *o, struct verr *e)
{
	return do_one(demote, why, o, e);
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
	return fence_by_command(o, why, e);
}

int
ha_fence_peer(const char *why, bool *by_command, struct ha_outcome *o,
	      struct verr *e)
{
	int lock = ha_lock(LOCK_WAIT_MS, e), rc;

	if (lock == -1)
		return -1;
	rc = ha_facts_gather(HA_ON_TICK, o, e);
	if (rc == 0)
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
	if (*was_standby)
		return 0;
	if (o->facts.peer != HA_PEER_PRIMARY && o->facts.peer != HA_PEER_NEWER)
		return verr_set(
			e, VERR_CONFLICT,
			"there is nobody to come back to: the peer is "
			"'%s'\n"
			"hint: voip-failover explain",
			ha_value_name(5, (size_t)__builtin_ctz(o->facts.peer)));
	if (s->pg == HA_PG_PRIMARY || s->pg == HA_PG_HUNG)
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL may still write here\n"
				"hint: 'voip-failover demote' stops it");
	if (s->pg == HA_PG_STANDBY && pg_stop(e) == -1)
		return -1;
	return ha_rejoin(s, policy, "an operator asks", e);
}

int
ha_come_back(const char *policy, bool *was_standby, struct ha_outcome *o,
	     struct verr *e)
{
	int lock = ha_lock(LOCK_WAIT_MS, e), rc;

	if (lock == -1)
		return -1;
	rc = ha_facts_gather(HA_ON_TICK, o, e);
	if (rc == 0)
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
	return do_one(trust, why, o, e);
}
