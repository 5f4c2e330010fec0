#include "hamove.h"

#include <stdio.h>
#include <string.h>

#include "command.h"
#include "conf.h"
#include "hajournal.h"
#include "hanode.h"
#include "hasync.h"
#include "pgcontrol.h"
#include "services.h"

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

int
ha_move_demote(struct ha_outcome *o, const char *why, struct verr *e)
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
	rc = pg_kill(o->state.pg == HA_PG_HUNG ? HUNG_PATIENCE : KILL_PATIENCE,
		     e);
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

int
ha_move_hold(struct ha_outcome *o, const char *why, struct verr *e)
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
