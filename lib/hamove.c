#include "hamove.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "conf.h"
#include "hadrain.h"
#include "haduty.h"
#include "hajournal.h"
#include "hanode.h"
#include "hapeer.h"
#include "hasync.h"
#include "log.h"
#include "pgcontrol.h"

#define LOOK_MS         INT64_C(2000)
#define KILL_PATIENCE   INT64_C(1500)
#define HUNG_PATIENCE   INT64_C(50)
#define PROMOTE_WAIT_MS INT64_C(60000)

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

static int64_t
patience(const struct ha_outcome *o)
{
	return o->state.pg == HA_PG_HUNG ? HUNG_PATIENCE : KILL_PATIENCE;
}

/*
 * The disk of the state is full, or not ours.  Whoever has the address waits
 * for the end of writing, not for the marker: without it this node is as after
 * a crash, and the demotion is done anew until it can be kept.
 */
static int
stop_without_marker(const struct ha_outcome *o, struct verr *e)
{
	struct verr why = VERR_INIT;

	if (pg_kill(patience(o), &why) == -1) {
		log_error("%s", why.msg);
		return -1;
	}
	return verr_wrap(e, "PostgreSQL is stopped, and that cannot be kept");
}

int
ha_move_demote(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct verr why_not = VERR_INIT;
	struct ha_journal j;
	int rc;

	/* Durable before anything else: whatever happens from here on, this
	 * node does not come back as a primary by itself. */
	k->fenced = true;
	k->trusted = k->wanted = false;
	if (ha_journal_begin(&j, k, HA_DEMOTE, why, e) == -1 ||
	    ha_journal_step(&j, "stop postgresql", e) == -1)
		return stop_without_marker(o, e);
	rc = pg_kill(patience(o), e);
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
	/* Else ha_tend() does, when calls and records have left. */
	if (rc == 0 && !ha_drain_takes_time())
		ha_duty_take(HA_DUTY_NONE, &why_not);
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

/*
 * Between the peer's word and the promotion this node may have stood still, and
 * the peer been promoted: it is asked once more, now that it cannot be promoted
 * by us either.
 */
static bool
was_overtaken(const struct ha_outcome *o)
{
	struct verr ignored = VERR_INIT;
	struct ha_state peer;

	return *conf_str("peer_address") && o->facts.peer != HA_PEER_SILENT &&
	       ha_peer_ask(HA_ASK_STATE, conf_ms("peer_timeout"), &peer,
			   &ignored) == 0 &&
	       peer.pg == HA_PG_PRIMARY && peer.timeline >= o->state.timeline;
}

/* What a primary does when it takes writes already: nothing of it undoes the
 * promotion. */
static int
settle(struct ha_journal *j, struct verr *e)
{
	struct verr why = VERR_INIT;
	struct db *db;
	int rc;

	if (ha_journal_step(j, "start services", e) == -1)
		return -1;
	rc = ha_duty_take(HA_DUTY_PRIMARY, e);
	/* pg_rewind of the other node takes the control file's word. */
	if (rc == 0)
		rc = ha_journal_step(j, "checkpoint", e);
	db = rc == 0 ? ha_node_connection(PROMOTE_WAIT_MS, &why) : NULL;
	if (db && db_script(db, "checkpoint", &why) == -1)
		log_warning("checkpoint: %s", why.msg);
	db_free(db);
	if (rc == 0 && conf_bool("freeswitch_recover")) {
		rc = ha_journal_step(j, "recover calls", e);
		if (rc == 0 && ha_duty_recover(&why) == -1)
			log_error("%s", why.msg);
	}
	if (rc == 0 && *conf_str("drain_undo")) {
		rc = ha_journal_step(j, "take calls", e);
		if (rc == 0 && ha_drain_undo(&why) == -1)
			log_error("%s", why.msg);
	}
	return rc;
}

int
ha_move_promote(struct ha_outcome *o, const char *why, struct verr *e)
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
	if (ha_facts_are_fresh(o))
		rc = promote_server(o, e);
	else
		rc = verr_set(e, VERR_RETRY,
			      "this node stood still: what it knows about its "
			      "peer is old");
	if (rc == 0 && was_overtaken(o)) {
		ha_journal_end(&j, "the peer was promoted meanwhile", e);
		return ha_move_demote(o, "the peer was promoted meanwhile", e);
	}
	if (rc == 0) {
		/* An operator promotes without the address, too. */
		k->held = k->vrrp == HA_VRRP_MASTER || k->vrrp == HA_VRRP_NONE;
		k->fenced = k->trusted = k->wanted = false;
		k->generation = o->state.timeline;
		rc = tell_timeline(&o->state, e);
	}
	if (rc == 0)
		rc = settle(&j, e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

/* Somebody dropped it, or peer_slot is set since: PostgreSQL would wait for it
 * for ever. */
static void
mend_slot(const struct ha_outcome *o)
{
	struct verr why = VERR_INIT;
	struct db *db;

	if (o->facts.peer != HA_PEER_STANDBY || o->peer.streaming)
		return;
	db = ha_node_connection(LOOK_MS, &why);
	if (!db || make_slot(db, &why) == -1)
		log_warning("slot of the peer: %s", why.msg);
	db_free(db);
}

int
ha_move_hold(struct ha_outcome *o, const char *why, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct ha_journal j;
	int rc;

	if ((o->facts.event == HA_ON_TICK || k->held) && !k->fenced) {
		mend_slot(o);
		return tell_timeline(&o->state, e);
	}
	/* Fenced: it was about to be stopped, and was not. */
	k->held = true;
	k->fenced = k->trusted = k->wanted = false;
	k->generation = o->state.timeline;
	if (ha_journal_begin(&j, k, HA_HOLD, why, e) == -1)
		return -1;
	rc = tell_timeline(&o->state, e);
	if (rc == 0)
		rc = ha_duty_take(HA_DUTY_PRIMARY, e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

/* From outside: its power, its port of the switch. */
int
ha_move_fence(struct ha_outcome *o, const char *why, struct verr *e)
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
