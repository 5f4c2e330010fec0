#include "pgnode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

/* How often a node that is being promoted is asked; pg_promote() itself asks
 * ten times a second only. */
#define POLL_MS 5

/*
 * The control file still holds the old timeline after a promotion, so a
 * primary tells it by the name of the file that it writes to.  A receiver says
 * 'streaming' before it has asked for anything: one whose slot is missing says
 * so again and again.
 */
static const char look_sql[] =
	"select pg_is_in_recovery() as recovery,"
	" current_setting('transaction_read_only')::boolean as read_only,"
	" current_setting('cluster_name') as cluster_name,"
	" current_setting('synchronous_standby_names') as sync_standbys,"
	" s.system_identifier, case when pg_is_in_recovery()"
	" then coalesce(w.received_tli, greatest(c.timeline_id,"
	"  k.min_recovery_end_timeline))"
	" else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))"
	"  ::bit(32)::bigint end as timeline,"
	" case when pg_is_in_recovery() then pg_last_wal_replay_lsn()"
	" else pg_current_wal_lsn() end as lsn,"
	" case when pg_is_in_recovery() then pg_is_wal_replay_paused()"
	" else false end as paused,"
	" coalesce(w.status = 'streaming' and w.latest_end_lsn is not null,"
	"  false) as streaming,"
	" w.sender_host || ':' || w.sender_port as upstream,"
	" greatest(pg_wal_lsn_diff(greatest(w.latest_end_lsn,"
	"  pg_last_wal_receive_lsn()), pg_last_wal_replay_lsn()), 0)"
	"  as lag_bytes,"
	" case when w.status is distinct from 'streaming' then null"
	" when greatest(w.latest_end_lsn, pg_last_wal_receive_lsn())"
	"  <= pg_last_wal_replay_lsn() then 0"
	" else (extract(epoch from clock_timestamp()"
	"  - pg_last_xact_replay_timestamp()) * 1000)::bigint end as lag_ms"
	" from pg_control_system() as s, pg_control_checkpoint() as c,"
	" pg_control_recovery() as k left join pg_stat_wal_receiver as w"
	" on true";

/* What has not arrived, or is held back, is counted from the last WAL here. */
static const char peers_sql[] =
	"with here as (select case when pg_is_in_recovery()"
	" then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end as lsn)"
	" select 'standby' as kind, r.application_name as name, r.state,"
	" r.replay_lsn as lsn, pg_wal_lsn_diff(here.lsn, r.replay_lsn)"
	"  as lag_bytes,"
	" case when r.replay_lsn >= here.lsn then 0 else"
	"  (extract(epoch from r.replay_lag) * 1000)::bigint end as lag_ms,"
	" concat_ws(' ', r.sync_state, r.client_addr) as detail"
	" from pg_stat_replication as r, here"
	" union all"
	" select 'slot', s.slot_name, case when s.active then 'active'"
	"  else 'inactive' end, s.restart_lsn,"
	" greatest(pg_wal_lsn_diff(here.lsn, s.restart_lsn), 0), null,"
	" concat_ws(' ', s.slot_type, s.wal_status)"
	" from pg_replication_slots as s, here"
	" order by kind desc, name";

/* A write that leaves nothing behind, but needs the disk like any other. */
static const char write_sql[] =
	"select pg_logical_emit_message(true, 'voip-failover', 'writable')";

static void
copy_field(char *to, size_t size, const struct db_result *r, const char *column)
{
	const char *value = db_field(r, 0, column);

	snprintf(to, size, "%s", value ? value : "");
}

static int64_t
number_field(const struct db_result *r, const char *column)
{
	const char *value = db_field(r, 0, column);

	return value ? strtoll(value, NULL, 10) : -1;
}

static bool
true_field(const struct db_result *r, const char *column)
{
	const char *value = db_field(r, 0, column);

	return value && *value == 't';
}

int
pgnode_look(struct db *db, struct pgnode *node, struct verr *e)
{
	struct db_server server;
	struct db_result *r = NULL;

	if (db_connect(db, &server, e) == -1 ||
	    db_query(db, &r, look_sql, 0, NULL, e) == -1)
		return -1;
	if (db_rows(r) != 1) {
		db_result_free(r);
		return verr_set(e, VERR_BUG, "the node's state has %d rows",
				db_rows(r));
	}
	*node = (struct pgnode){
		.primary = !true_field(r, "recovery"),
		.writable = !true_field(r, "read_only"),
		.replay_paused = true_field(r, "paused"),
		.streaming = true_field(r, "streaming"),
		.timeline = number_field(r, "timeline"),
		.lag_bytes = -1,
		.lag_ms = -1,
	};
	if (!node->primary) {
		node->lag_bytes = number_field(r, "lag_bytes");
		node->lag_ms = number_field(r, "lag_ms");
	}
	copy_field(node->system_id, sizeof(node->system_id), r,
		   "system_identifier");
	copy_field(node->name, sizeof(node->name), r, "cluster_name");
	copy_field(node->lsn, sizeof(node->lsn), r, "lsn");
	copy_field(node->upstream, sizeof(node->upstream), r, "upstream");
	copy_field(node->sync_standbys, sizeof(node->sync_standbys), r,
		   "sync_standbys");
	if (!*node->name)
		snprintf(node->name, sizeof(node->name), "%.63s", server.host);
	db_result_free(r);
	return 0;
}

const char *
pgnode_state(const struct pgnode *node)
{
	if (node->primary)
		return node->writable ? "writable" : "read-only";
	if (node->replay_paused)
		return "paused";
	return node->streaming ? "streaming" : "disconnected";
}

int
pgnode_peers(struct db *db, struct db_result **r, struct verr *e)
{
	return db_query(db, r, peers_sql, 0, NULL, e);
}

/* Until the node takes writes.  Errors on the way are part of the way: the
 * last one tells why it took too long. */
static int
wait_writable(struct db *db, struct pgnode *node, int64_t wait_ms,
	      struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end_ms = loop_now_ms() + wait_ms;
	int read_only = 0;

	for (;;) {
		struct verr last = VERR_INIT;

		if (pgnode_look(db, node, &last) == 0) {
			/* A statement that began in recovery and ended after
			 * it sees a primary that is read-only, once. */
			if (node->primary && !node->writable && read_only++)
				return verr_set(
					e, VERR_CONFLICT,
					"promoted to timeline %lld, but not "
					"writable: default_transaction_"
					"read_only is on",
					(long long)node->timeline);
			if (node->primary && node->writable &&
			    db_query(db, NULL, write_sql, 0, NULL, &last) == 0)
				return 0;
		}
		if (loop_now_ms() >= end_ms)
			return verr_set(e, VERR_RETRY,
					"not writable after %lld s: %.300s",
					(long long)(wait_ms / 1000),
					last.kind ? last.msg
						  : "still in recovery");
		nanosleep(&pause, NULL);
	}
}

int
pgnode_promote(struct db *db, struct pgnode *node, int64_t wait_ms,
	       struct verr *e)
{
	struct db_result *r = NULL;
	bool signalled;

	if (node->primary && !node->writable)
		return verr_set(e, VERR_CONFLICT,
				"'%s' is primary already, but not writable: "
				"default_transaction_read_only is on",
				node->name);
	if (node->primary)
		return 0;
	/* false: do not wait there, where waiting is slow */
	if (db_query(db, &r, "select pg_promote(false)", 0, NULL, e) == -1)
		return verr_wrap(e, "cannot promote '%s'", node->name);
	signalled = db_rows(r) == 1 && db_is_true(r, 0, 0);
	db_result_free(r);
	if (!signalled)
		return verr_set(e, VERR_RETRY,
				"'%s' did not take the request to promote",
				node->name);
	if (wait_ms <= 0)
		return 0;
	if (wait_writable(db, node, wait_ms, e) == -1)
		return verr_wrap(e, "cannot promote '%s'", node->name);
	return 0;
}

/* Line `n` (from 1) of `text` into `to`, without the spaces at its end. */
static void
line_of(const char *text, int n, char *to, size_t size)
{
	size_t len;

	while (--n && text) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	len = text ? strcspn(text, "\n") : 0;
	while (len && text[len - 1] == ' ')
		len--;
	snprintf(to, size, "%.*s", (int)len, text ? text : "");
}

/*
 * "812 (postgres) S ...".  A zombie holds nothing and writes nothing; a shell
 * that somebody left there is none of ours.
 */
bool
pgnode_is_live(long pid)
{
	static const char name[] = "(postgres)";
	char path[64], text[512], *after;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	after = strstr(text, name);
	return after && after == strchr(text, '(') &&
	       !strchr("ZX", after[sizeof(name)]);
}

static bool
has_end(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

int
pgnode_postmaster(const char *data_directory, struct pgnode_postmaster *p,
		  struct verr *e)
{
	char path[4096], text[2048], pid[24], socket[1024];
	FILE *file;
	size_t len;

	*p = (struct pgnode_postmaster){ .state = "down" };
	snprintf(path, sizeof(path), "%s/PG_VERSION", data_directory);
	if (access(path, F_OK) == -1)
		return verr_sys(e, VERR_CONFIG,
				"'%s' is no data directory of PostgreSQL",
				data_directory);
	snprintf(path, sizeof(path), "%s/standby.signal", data_directory);
	p->standby = access(path, F_OK) == 0;
	snprintf(path, sizeof(path), "%s/postmaster.pid", data_directory);
	file = fopen(path, "re");
	if (!file) {
		if (errno == ENOENT)
			return 0;
		return verr_sys(e, VERR_SYSTEM, "cannot read '%s'", path);
	}
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	line_of(text, 1, pid, sizeof(pid));
	p->pid = (pid_t)strtol(pid, NULL, 10);
	if (p->pid <= 0 || !pgnode_is_live(p->pid)) {
		p->pid = 0;
		return 0;
	}
	line_of(text, 5, socket, sizeof(socket));
	p->alone = has_end(socket, "/voip-alone");
	line_of(text, 8, p->state, sizeof(p->state));
	if (!*p->state)
		snprintf(p->state, sizeof(p->state), "starting");
	return 0;
}
