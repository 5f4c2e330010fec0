#include "haswitch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "db.h"
#include "hadrain.h"
#include "haduty.h"
#include "hafacts.h"
#include "hajournal.h"
#include "hanode.h"
#include "haoperate.h"
#include "hapatroni.h"
#include "hapeer.h"
#include "haresume.h"
#include "log.h"
#include "loop.h"
#include "out.h"
#include "pgcontrol.h"
#include "services.h"
#include "verdict.h"

#define ASK_MS       INT64_C(5000)
#define POLL_MS      20
#define CLOCK_MAX_MS INT64_C(1000)
#define DISK_MIN     (UINT64_C(512) << 20)

int ha_dry_run;

enum state { OK, WARNING, FAILED };

static const char *const state_words[] = { "ok", "warning", "failed" };

struct checks {
	struct ha_outcome o;
	struct db *own;
	struct db *peer;
	struct out *out; /* NULL: nothing is shown */
	char failed[512];
};

static void
tell(struct checks *c, const char *name, enum state state, const char *detail)
{
	const char *const row[] = { name, state_words[state], detail };

	if (c->out)
		out_row(c->out, row);
	if (state == FAILED && !*c->failed)
		snprintf(c->failed, sizeof(c->failed), "%.60s: %.400s", name,
			 detail);
}

/* --- what is known without a question to a server --------------------- */

static void
check_role(struct checks *c)
{
	const struct ha_state *s = &c->o.state;
	bool ok = s->pg == HA_PG_PRIMARY && s->writable && s->kept.held;

	tell(c, "role", ok ? OK : FAILED,
	     ok ? "a primary with the address"
	     : s->pg == HA_PG_PRIMARY
		     ? "a primary, but the address is not ours"
		     : "not a primary: run this on the primary");
}

static void
check_maintenance(struct checks *c)
{
	bool on = c->o.state.maintenance || c->o.peer.maintenance;

	tell(c, "maintenance", on ? FAILED : OK,
	     on ? "the nodes act upon nothing: voip-failover maintenance off"
		: "none");
}

static void
check_peer(struct checks *c)
{
	const struct ha_state *s = &c->o.state, *p = &c->o.peer;
	const char *why = p->streaming ? "a standby that streams"
				       : "a standby that does not stream";
	enum state state = p->streaming ? OK : FAILED;

	if (c->o.facts.peer != HA_PEER_STANDBY) {
		state = FAILED;
		why = c->o.facts.peer == HA_PEER_SILENT
			      ? "its voip-failover does not answer"
		      : c->o.facts.peer == HA_PEER_UNCLEAR
			      ? "what it answers cannot be used, see "
				"'voip-failover status'"
			      : "not a standby of ours";
	} else if (p->timeline != s->timeline) {
		state = FAILED;
		why = "on another timeline";
	} else if (p->kept.fenced) {
		state = FAILED;
		why = "fenced";
	}
	tell(c, "peer", state, why);
}

static void
check_vrrp(struct checks *c)
{
	enum ha_vrrp v = c->o.peer.kept.vrrp;

	tell(c, "peer keepalived", v == HA_VRRP_BACKUP ? OK : FAILED,
	     ha_vrrp_word(v));
}

static void
check_disk(struct checks *c)
{
	struct statvfs fs;
	uint64_t left;
	char text[64];

	if (statvfs(conf_str("postgresql_data_directory"), &fs) == -1) {
		tell(c, "disk", FAILED, "the data directory cannot be seen");
		return;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	snprintf(text, sizeof(text), "%" PRIu64 " MB free", left >> 20);
	tell(c, "disk", left < DISK_MIN ? FAILED : OK, text);
}

static void
check_way_back(struct checks *c)
{
	bool set = *conf_str("peer_replication") != '\0';

	tell(c, "way back", set ? OK : FAILED,
	     set ? "peer_replication is set" : "peer_replication is empty");
}

static void
check_calls(struct checks *c)
{
	struct verr e = VERR_INIT;
	struct ha_drained left;
	char text[64];

	if (ha_drain_count(&left, &e) == -1) {
		tell(c, "calls", WARNING, e.msg);
		return;
	}
	snprintf(text, sizeof(text), "%ld go on", left.calls);
	tell(c, "calls", left.calls ? WARNING : OK,
	     *conf_str("drain_count") ? text
				      : "drain_count is empty: not counted");
	snprintf(text, sizeof(text), "%ld wait on this node", left.records);
	tell(c, "call records", left.records ? WARNING : OK, text);
}

static void (*const plain[])(struct checks *c) = {
	check_role, check_maintenance, check_peer,  check_vrrp,
	check_disk, check_way_back,    check_calls,
};

/* --- what the servers say --------------------------------------------- */

/* Each answers with a state and a detail. */
static const struct {
	const char *name;
	bool of_peer;
	const char *sql;
} asked[] = {
	{ "lag", false,
	  "select case when max(pg_wal_lsn_diff(pg_current_wal_lsn(),"
	  " replay_lsn)) <= 16777216 then 'ok' else 'failed' end,"
	  " coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))"
	  " || ' bytes', 'no standby')"
	  " from pg_stat_replication where state = 'streaming'" },
	{ "slot", false,
	  "select case when bool_and(coalesce(wal_status, '') <> 'lost') then"
	  " case when bool_or(active) then 'ok' else 'warning' end"
	  " when count(*) = 0 then 'warning' else 'failed' end,"
	  " coalesce(string_agg(slot_name || case when active then ' active'"
	  " else ' inactive' end, ', '), 'none') from pg_replication_slots"
	  " where slot_type = 'physical'" },
	{ "settings", false,
	  "select case when current_setting('full_page_writes') = 'on' and"
	  " 'on' in (current_setting('wal_log_hints'),"
	  " current_setting('data_checksums')) then 'ok' else 'failed' end,"
	  " 'wal_log_hints ' || current_setting('wal_log_hints') ||"
	  " ', data_checksums ' || current_setting('data_checksums')" },
	{ "long transactions", false,
	  "select case when count(*) = 0 then 'ok' else 'warning' end,"
	  " count(*) || ' for more than a minute' from pg_stat_activity"
	  " where backend_type = 'client backend' and"
	  " xact_start < now() - interval '1 minute'" },
	{ "prepared transactions", false,
	  "select case when count(*) = 0 then 'ok' else 'failed' end,"
	  " count(*) || ' wait for their second phase' from"
	  " pg_prepared_xacts" },
	{ "peer settings", true,
	  "select case when current_setting('max_wal_senders')::int > 0 and"
	  " current_setting('max_connections')::int >= 20 then 'ok'"
	  " else 'failed' end, 'max_wal_senders ' ||"
	  " current_setting('max_wal_senders')" },
	{ "peer replay", true,
	  "select case when pg_is_wal_replay_paused() then 'failed' else 'ok'"
	  " end, case when pg_is_wal_replay_paused() then 'paused: select"
	  " pg_wal_replay_resume()' else 'goes on' end" },
	{ .name = NULL },
};

static void
check_asked(struct checks *c, size_t i)
{
	struct db *db = asked[i].of_peer ? c->peer : c->own;
	struct verr e = VERR_INIT;
	struct db_result *r = NULL;
	const char *word;
	enum state state = OK;

	if (!db || db_query(db, &r, asked[i].sql, 0, NULL, &e) == -1) {
		tell(c, asked[i].name, FAILED, db ? e.msg : "cannot be asked");
		return;
	}
	word = db_value(r, 0, 0);
	while (word && state < FAILED && strcmp(word, state_words[state]) != 0)
		state++;
	tell(c, asked[i].name, state, db_value(r, 0, 1));
	db_result_free(r);
}

static void
check_clocks(struct checks *c)
{
	struct verr e = VERR_INIT;
	struct db_result *r = NULL;
	int64_t apart;
	char text[64];

	if (!c->peer ||
	    db_query(c->peer, &r,
		     "select (extract(epoch from clock_timestamp()) * 1000)"
		     "::bigint",
		     0, NULL, &e) == -1) {
		tell(c, "clocks", FAILED, "the peer's cannot be asked");
		return;
	}
	apart = strtoll(db_value(r, 0, 0), NULL, 10) - ha_real_ms();
	db_result_free(r);
	snprintf(text, sizeof(text), "%" PRId64 " ms apart", apart);
	tell(c, "clocks", llabs(apart) > CLOCK_MAX_MS ? WARNING : OK, text);
}

static int
check_all(struct checks *c, struct verr *e)
{
	struct verr ignored = VERR_INIT;

	if (ha_facts_gather(HA_ON_TICK, &c->o, e) == -1)
		return -1;
	c->own = ha_node_connection(ASK_MS, e);
	c->peer = ha_peer_connection(ASK_MS, &ignored);
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		plain[i](c);
	for (size_t i = 0; asked[i].name; i++)
		check_asked(c, i);
	check_clocks(c);
	db_free(c->own);
	db_free(c->peer);
	return 0;
}

/* --- the real one ----------------------------------------------------- */

static int
hand_over(struct ha_journal *j, struct ha_state *s, struct verr *e)
{
	struct ha_state now = { 0 };

	if (ha_journal_step(j, "drain", e) == -1 || ha_drain(e) == -1 ||
	    ha_journal_step(j, "stop services", e) == -1 ||
	    ha_duty_take(HA_DUTY_NONE, e) == -1)
		return -1;
	s->kept.fenced = true;
	if (ha_journal_step(j, "stop postgresql", e) == -1 || pg_stop(e) == -1)
		return -1;
	if (ha_state_look(&now, ASK_MS, e) == -1)
		return -1;
	if (now.pg != HA_PG_DOWN_PRIMARY && now.pg != HA_PG_DOWN_STANDBY)
		return verr_set(e, VERR_SYSTEM, "PostgreSQL does not stop");
	if (pg_mark_standby(e) == -1)
		return -1;
	s->kept.held = false;
	return ha_track("timeline", 0, e);
}

/* As if nothing had been. */
static void
take_back(struct ha_journal *j, struct ha_state *s)
{
	struct verr e = VERR_INIT;
	struct verdict v;

	s->kept.fenced = false;
	/* When keepalived took the address away it will say MASTER again; its
	 * FAULT of the meantime must not stop what is started here. */
	s->kept.held = verdict_read(&v, &e) == 0 && v.has_address;
	if (ha_journal_step(j, "undo", &e) == -1 ||
	    pg_unmark_standby(&e) == -1 ||
	    (services_status(conf_str("postgresql_service"), &e) != 1 &&
	     pg_start(&e) == -1) ||
	    ha_duty_take(HA_DUTY_PRIMARY, &e) == -1 || ha_drain_undo(&e) == -1)
		log_error("%s", e.msg);
}

static bool
ask_peer(struct ha_state *peer)
{
	struct verr ignored = VERR_INIT;

	return ha_peer_ask(HA_ASK_STATE, conf_ms("peer_timeout"), peer,
			   &ignored) == 0;
}

static bool
peer_has_it(struct ha_state *peer)
{
	return ask_peer(peer) && peer->pg == HA_PG_PRIMARY && peer->writable;
}

enum taken { TAKEN, NOT_TAKEN, UNKNOWN };

/* Whoever does not answer, or is at it, may write at any moment. */
static enum taken
look_at_peer(struct ha_state *peer)
{
	if (!ask_peer(peer))
		return UNKNOWN;
	if (peer->pg == HA_PG_PRIMARY)
		return peer->writable ? TAKEN : UNKNOWN;
	return peer->pg != HA_PG_HUNG && !*peer->kept.doing &&
			       !peer->kept.wanted
		       ? NOT_TAKEN
		       : UNKNOWN;
}

static enum taken
await_peer(struct ha_state *peer, int64_t end)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	enum taken taken;

	while ((taken = look_at_peer(peer)) != TAKEN && loop_now_ms() < end)
		nanosleep(&pause, NULL);
	return taken;
}

/* Both say it: the peer writes with the address, we stream from it. */
static int
verify(struct ha_state *s, struct ha_state *peer, int64_t end, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	for (;;) {
		memset(s, 0, sizeof(*s));
		if (ha_state_look(s, ASK_MS, e) == 0 &&
		    s->pg == HA_PG_STANDBY && s->streaming &&
		    peer_has_it(peer) && peer->kept.held &&
		    peer->timeline == s->timeline)
			return 0;
		if (loop_now_ms() >= end)
			return verr_set(e, VERR_RETRY,
					"'%s' is the primary, but this node "
					"does not stream from it yet\n"
					"hint: voip-failover status",
					peer->name);
		nanosleep(&pause, NULL);
	}
}

/* Draining may have taken longer than all that follows. */
static int64_t
half_time_from_now(void)
{
	return loop_now_ms() + conf_ms("switchover_time") / 2;
}

/* Whoever had the lock before may have handed over, or failed over. */
static int
check_again(struct verr *e)
{
	struct ha_state now = { 0 };

	if (ha_state_look(&now, ASK_MS, e) == -1)
		return -1;
	if (now.pg == HA_PG_PRIMARY)
		return 0;
	return verr_set(e, VERR_CONFLICT,
			"no switchover: this node is a %s by now\n"
			"hint: voip-failover status",
			ha_state_role(&now));
}

/* The follower of this node must not act meanwhile: under the lock. */
static int
begin(struct checks *c, struct ha_state *peer, struct verr *e)
{
	struct ha_state *s = &c->o.state;
	int lock = ha_lock(ASK_MS, e), rc;
	enum taken taken = NOT_TAKEN;
	struct ha_journal j;

	if (lock == -1)
		return -1;
	/* As it is now, not as it was before the lock. */
	if (check_again(e) == -1 || ha_kept_load(&s->kept, e) == -1 ||
	    ha_resume(&s->kept, e) == -1 ||
	    ha_journal_begin(&j, &s->kept, HA_SWITCHOVER, "an operator asks",
			     e) == -1) {
		close(lock);
		return -1;
	}
	rc = hand_over(&j, s, e);
	if (rc == 0 && ha_journal_step(&j, "peer takes over", e) == -1)
		rc = -1;
	if (rc == 0)
		taken = await_peer(peer, half_time_from_now());
	else if (s->kept.fenced)
		taken = look_at_peer(peer);
	if (rc == 0 && taken == NOT_TAKEN)
		rc = verr_set(e, VERR_RETRY,
			      "the peer did not take over: this node is the "
			      "primary again");
	if (rc == 0 && taken == UNKNOWN)
		rc = verr_set(e, VERR_RETRY,
			      "whether the peer took over is not known: this "
			      "node stays stopped until it is\n"
			      "hint: 'voip-failover status' on the peer");
	if (rc == -1 && taken == NOT_TAKEN)
		take_back(&j, s);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	close(lock);
	return rc;
}

static int
tell_outcome(const struct ha_state *peer, const struct ha_state *own,
	     int64_t ms, struct verr *e)
{
	char texts[3][sizeof(peer->name) + 64];
	const struct ha_told told[] = {
		{ peer->name, "primary", texts[0], peer->timeline },
		{ own->name, "standby", texts[1], own->timeline },
		{ NULL, NULL, texts[2], 0 },
	};

	snprintf(texts[0], sizeof(texts[0]),
		 "%s: primary on timeline %" PRId64 ", with the address",
		 peer->name, peer->timeline);
	snprintf(texts[1], sizeof(texts[1]), "%s: its standby, streams",
		 own->name);
	snprintf(texts[2], sizeof(texts[2]), "both say so after %.3f s",
		 (double)ms / 1000);
	return ha_tell(told, 3, e);
}

static int
switch_over(struct checks *c, struct verr *e)
{
	int64_t start = loop_now_ms();
	struct ha_state peer = { 0 }, own = { 0 };
	int rc = begin(c, &peer, e);

	/* What is left is the follower's. */
	if (rc == 0)
		log_event(LOG_LEVEL_INFO, "handed over", "to", peer.name, NULL);
	if (rc == 0)
		rc = verify(&own, &peer, half_time_from_now(), e);
	return rc == -1 ? -1
			: tell_outcome(&peer, &own, loop_now_ms() - start, e);
}

int
ha_cmd_switchover(int argc, const char **argv, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "check", OUT_TEXT },
		{ "state", OUT_SEVERITY },
		{ "detail", OUT_TEXT },
	};
	struct checks c = { .out = NULL };
	enum out_format format;
	int rc;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == -1 ||
	    ha_patroni_refuses("switchover", "switchover", e) == -1)
		return -1;
	if (ha_dry_run) {
		c.out = out_begin(stdout, format, columns, 3, e);
		if (!c.out)
			return -1;
	}
	rc = check_all(&c, e);
	if (c.out && out_end(c.out, e) == -1)
		rc = -1;
	if (rc == 0 && *c.failed)
		rc = verr_set(e, VERR_CONFLICT,
			      "no switchover: %s\n"
			      "hint: voip-failover switchover --dry-run",
			      c.failed);
	if (rc == -1 || ha_dry_run)
		return rc;
	return switch_over(&c, e);
}
