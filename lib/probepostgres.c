/* PostgreSQL of this node: role, writing, replication. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "probe.h"

struct db *
probe_connection(const struct probe *p, struct verr *e)
{
	/* A commit here must not wait for a standby that may be gone. */
	static const char *const session[] = {
		"set synchronous_commit to local",
		NULL,
	};
	const struct db_options o = {
		.conninfo = conf_str(p->setting),
		.role = "voip_health",
		.session_attrs = "any",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = p->timeout_ms,
		.session_sql = p->run == probe_write ? session : NULL,
	};

	return db_new(&o, e);
}

/* A connection of its own each time: that one is to be had is half of it. */
void
probe_database(const struct probe *p, struct probe_result *r)
{
	struct verr e = VERR_INIT;
	struct db_server server = { 0 };
	struct db *db = probe_connection(p, &e);

	if (!db || db_connect(db, &server, &e) == -1) {
		probe_found(r, PROBE_FAILED, "%s", e.msg);
	} else if (server.in_recovery) {
		r->role = PROBE_STANDBY;
		probe_found(r, PROBE_OK, "standby");
	} else {
		r->role = PROBE_PRIMARY;
		probe_found(r, server.read_only ? PROBE_FAILED : PROBE_OK,
			    server.read_only ? "primary, read-only"
					     : "primary, writable");
	}
	r->postmaster = server.postmaster;
	db_free(db);
}

/* A write that leaves nothing behind, but must reach the disk. */
void
probe_write(const struct probe *p, struct probe_result *r)
{
	static const char sql[] = "select pg_logical_emit_message(true, "
				  "'voip-health', 'writable')";
	struct verr e = VERR_INIT;
	struct db_server server = { 0 };
	struct db *db = probe_connection(p, &e);

	if (!db || db_connect(db, &server, &e) == -1)
		probe_found(r, PROBE_FAILED, "%s", e.msg);
	else if (server.in_recovery)
		probe_found(r, PROBE_OK, "a standby, not tried");
	else if (db_query(db, NULL, sql, 0, NULL, &e) == -1)
		probe_found(r, PROBE_FAILED, "cannot write: %s", e.msg);
	else
		probe_found(r, PROBE_OK, "written");
	db_free(db);
}

/* --- replication ------------------------------------------------------ */

/* What pgnode_look() leaves out; one row. */
static const char more_sql[] =
	"select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0') as received,"
	" pg_wal_lsn_diff(case when pg_is_in_recovery()"
	"  then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,"
	"  '0/0') as location,"
	" coalesce(extract(epoch from pg_last_xact_replay_timestamp()), 0)"
	"  as replayed_at,"
	" (select extract(epoch from clock_timestamp() - last_msg_receipt_time)"
	"  from pg_stat_wal_receiver) as message_age,"
	" (select count(*) from pg_settings where pending_restart) as pending,"
	" current_setting('server_version_num') as version,"
	" extract(epoch from pg_postmaster_start_time()) as started,"
	" (select count(*) from pg_stat_replication"
	"  where state = 'streaming') as standbys,"
	" (select count(*) from pg_stat_replication"
	"  where sync_state in ('sync', 'quorum')) as sync,"
	" (select max(case when pg_is_in_recovery() then 0"
	"  else pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) end)"
	"  from pg_replication_slots) as held";

static double
number(const struct db_result *rows, const char *column)
{
	const char *value = db_field(rows, 0, column);

	return value ? strtod(value, NULL) : -1;
}

static void
judge_standby(struct probe_result *r)
{
	const struct pgnode *n = &r->node;

	probe_value(r, "voip_replication_streaming", n->streaming);
	if (n->lag_bytes >= 0)
		probe_value(r, "voip_replication_lag_bytes",
			    (double)n->lag_bytes);
	if (n->lag_ms >= 0)
		probe_value(r, "voip_replication_lag_seconds",
			    (double)n->lag_ms / 1000);
	if (!n->streaming)
		probe_found(r, PROBE_FAILED,
			    "standby, disconnected; how far behind is unknown");
	else if (n->replay_paused)
		probe_found(r, PROBE_WARNING,
			    "standby, replay is paused, %" PRId64
			    " bytes behind",
			    n->lag_bytes);
	else
		probe_found(r,
			    n->lag_bytes > conf_bytes("health_lag_bytes")
				    ? PROBE_WARNING
				    : PROBE_OK,
			    "standby of %s, streaming, %" PRId64 " bytes and "
			    "%" PRId64 " ms behind",
			    n->upstream, n->lag_bytes, n->lag_ms);
}

static void
judge_primary(struct probe_result *r, double standbys, double sync, double held)
{
	bool pair = *conf_str("peer_address") != '\0';

	probe_value(r, "voip_replication_standbys", standbys);
	if (held >= 0)
		probe_value(r, "voip_replication_slot_bytes", held);
	if (*r->node.sync_standbys && sync < 1)
		probe_found(r, PROBE_FAILED,
			    "primary, commits wait for a synchronous standby "
			    "('%.80s')",
			    r->node.sync_standbys);
	else if (standbys < 1 && pair)
		probe_found(r, PROBE_WARNING, "primary, no standby streams");
	else
		probe_found(r, PROBE_OK,
			    "primary of timeline %" PRId64 ", %.0f standby%s",
			    r->node.timeline, standbys,
			    standbys == 1 ? "" : "s");
}

/* As monitoring.timelines() has it, for a role that may read itself. */
static const char direct_sql[] =
	"with lines as (select string_to_array(line, E'\\t') as f"
	" from regexp_split_to_table(convert_from(pg_read_binary_file("
	"  'pg_wal/' || lpad(upper(to_hex($1::bigint)), 8, '0') || '.history',"
	"  0, 1048576, true), 'UTF8'), E'\\n') as line"
	" where line ~ E'^\\\\s*[0-9]+\\t[0-9A-F]+/[0-9A-F]+\\t'),"
	" ended as (select f[1]::bigint as tli,"
	"  (f[2]::pg_lsn - '0/0'::pg_lsn)::bigint as at, f[3] as why,"
	"  lead(f[1]::bigint, 1, $1::bigint) over (order by f[1]::bigint)"
	"   as next from lines)"
	" select tli, at, coalesce(extract(epoch from (pg_stat_file('pg_wal/'"
	"  || lpad(upper(to_hex(next)), 8, '0') || '.history', true))"
	"  .modification)::bigint, 0), why from ended order by tli";
static const char granted_sql[] =
	"select timeline, lsn, coalesce(extract(epoch from began)::bigint, 0),"
	" reason from monitoring.timelines($1::bigint)";

/* The latest ones, when there is not room for all. */
static void
add_history(struct probe_result *r, const struct db_result *rows)
{
	struct buf b = BUF_INIT;
	const char *from;

	for (int i = 0; i < db_rows(rows); i++)
		buf_printf(&b, "%s %s %s %.200s\n", db_value(rows, i, 0),
			   db_value(rows, i, 1), db_value(rows, i, 2),
			   db_value(rows, i, 3));
	if (!buf_failed(&b) && b.len) {
		from = b.data;
		while (strlen(from) >= sizeof(r->history))
			from = strchr(from, '\n') + 1;
		strcpy(r->history, from);
	}
	buf_release(&b);
}

static void
ask_history(struct db *db, struct probe_result *r)
{
	char timeline[24];
	const struct db_param p[] = { DB_TEXT(timeline) };
	struct verr ignored = VERR_INIT;
	struct db_result *rows = NULL;

	if (r->node.timeline < 2)
		return;
	snprintf(timeline, sizeof(timeline), "%" PRId64, r->node.timeline);
	if (db_query(db, &rows, granted_sql, 1, p, &ignored) == 0 ||
	    db_query(db, &rows, direct_sql, 1, p, &ignored) == 0)
		add_history(r, rows);
	db_result_free(rows);
}

static void
take_server(struct probe_result *r, const struct db_result *rows)
{
	r->server = (struct probe_server){
		.location = number(rows, "location"),
		.received = number(rows, "received"),
		.replayed_at = number(rows, "replayed_at"),
		.started_at = number(rows, "started"),
		.version = (long)number(rows, "version"),
		.pending_restart = number(rows, "pending") > 0,
	};
}

void
probe_replication(const struct probe *p, struct probe_result *r)
{
	struct db_result *rows = NULL;
	struct verr e = VERR_INIT;
	struct db *db = probe_connection(p, &e);

	if (!db || pgnode_look(db, &r->node, &e) == -1 ||
	    db_query(db, &rows, more_sql, 0, NULL, &e) == -1 ||
	    db_rows(rows) != 1) {
		probe_found(r, PROBE_FAILED, "%s", e.msg);
		goto out;
	}
	r->has_node = true;
	if (r->node.primary)
		judge_primary(r, number(rows, "standbys"), number(rows, "sync"),
			      number(rows, "held"));
	else
		judge_standby(r);
	if (!r->node.primary && number(rows, "message_age") >= 0)
		probe_value(r, "voip_replication_message_age_seconds",
			    number(rows, "message_age"));
	take_server(r, rows);
	ask_history(db, r);
out:
	db_result_free(rows);
	db_free(db);
}
