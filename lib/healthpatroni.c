/* What Patroni's REST API tells, with its names (its manual, "REST API"). */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "hanode.h"
#include "health.h"
#include "jsonmember.h"
#include "pairfile.h"

#define SCOPE "voip"
/* Whose words these are: 4.1, as Patroni writes it. */
#define PATRONI_VERSION 40100
/* Of its list of states (PostgresqlState). */
#define STATE_RUNNING 5
#define STATE_STOPPED 12
#define JOURNAL_LINES 1000

/* --- what is so -------------------------------------------------------- */

/* The virtual address is our leader's lock. */
bool
health_is_primary(const struct health *h)
{
	struct verdict v;

	if (h->role != PROBE_PRIMARY)
		return false;
	health_judge(h, &v);
	return !v.no_database &&
	       (v.has_address || !*conf_str("virtual_address"));
}

static bool
is_word(char c)
{
	return c && !strchr(" ,()\"", c);
}

/* "ANY 1 (node2)", "FIRST 1 (a, b)", "node2", "*" (PostgreSQL, 20.6.2). */
static bool
names(const char *standbys, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = standbys; len && (at = strstr(at, name));
	     at += len)
		if ((at == standbys || !is_word(at[-1])) && !is_word(at[len]))
			return true;
	return strchr(standbys, '*') != NULL;
}

/* Does the primary wait for us?  It says so itself. */
bool
health_is_synchronous(const struct health *h, bool *quorum)
{
	const struct pgnode *node = health_node(h);
	struct pairfile_peer peer;
	char name[64];

	*quorum = false;
	if (h->role != PROBE_STANDBY || !node || !node->streaming)
		return false;
	pairfile_peer(&peer);
	ha_node_name(name, sizeof(name));
	if (!peer.known || !peer.answers ||
	    !names(peer.state.sync_standbys, name))
		return false;
	*quorum = strncasecmp(peer.state.sync_standbys, "ANY ", 4) == 0;
	return true;
}

static bool
is_peer_leader(const struct pairfile_peer *peer)
{
	return peer->known && peer->answers &&
	       peer->state.pg == HA_PG_PRIMARY && peer->state.kept.held;
}

/* --- members ----------------------------------------------------------- */

static void
add_time(struct buf *b, const char *name, double seconds)
{
	time_t at = (time_t)seconds;
	char text[40];
	struct tm tm;

	if (seconds <= 0)
		return;
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S+00:00", &tm);
	jsonmember_add_string(b, name, text);
}

/* --- a node ------------------------------------------------------------ */

const struct probe_server *
health_server(const struct health *h)
{
	static const struct probe_server none;

	const struct pgnode *node = health_node(h);

	for (size_t i = 0; node && i < probe_count(); i++)
		if (node == &h->results[i].node)
			return &h->results[i].server;
	return &none;
}

static void
add_positions(struct buf *b, const struct pgnode *node,
	      const struct probe_server *server)
{
	if (node->primary) {
		buf_printf(b, ",\"xlog\":{\"location\":%.0f}",
			   server->location);
		return;
	}
	buf_printf(b,
		   ",\"xlog\":{\"received_location\":%.0f,"
		   "\"replayed_location\":%.0f",
		   server->received > 0 ? server->received : 0,
		   server->location);
	add_time(b, "replayed_timestamp", server->replayed_at);
	jsonmember_add_number(b, "lag", node->lag_bytes);
	jsonmember_add_truth(b, "paused", node->replay_paused);
	buf_putc(b, '}');
	jsonmember_add_string(b, "replication_state",
			      node->streaming ? "streaming"
					      : "in archive recovery");
}

void
health_patroni_json(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	const struct probe_server *server = health_server(h);
	bool quorum;
	char name[64];

	ha_node_name(name, sizeof(name));
	buf_printf(b, "{\"state\":\"%s\",\"role\":\"%s\"",
		   h->role == PROBE_NO_ROLE ? "stopped" : "running",
		   h->role == PROBE_PRIMARY ? "primary" : "replica");
	if (node) {
		add_time(b, "postmaster_start_time", server->started_at);
		jsonmember_add_number(b, "server_version", server->version);
		add_positions(b, node, server);
		jsonmember_add_number(b, "timeline", node->timeline);
		jsonmember_add_string(b, "database_system_identifier",
				      node->system_id);
	}
	if (health_is_synchronous(h, &quorum))
		jsonmember_add_truth(
			b, quorum ? "quorum_standby" : "sync_standby", true);
	if (server->pending_restart)
		jsonmember_add_truth(b, "pending_restart", true);
	if (ha_is_maintenance(NULL))
		jsonmember_add_truth(b, "pause", true);
	buf_puts(b, ",\"patroni\":{\"scope\":\"" SCOPE "\"");
	jsonmember_add_string(b, "name", name);
	jsonmember_add_string(b, "version", VERSION);
	buf_puts(b, "}}\n");
}

/* --- the pair ---------------------------------------------------------- */

struct member {
	const char *name, *address, *role, *state;
	int64_t timeline, lag;
};

static void
add_member(struct buf *b, const struct member *m)
{
	const char *colon = strrchr(m->address, ':');
	size_t len = colon ? (size_t)(colon - m->address) : strlen(m->address);

	buf_puts(b, "{\"name\":");
	out_json_string(b, m->name, strlen(m->name));
	jsonmember_add_string(b, "role", m->role);
	jsonmember_add_string(b, "state", m->state);
	buf_puts(b, ",\"host\":");
	out_json_string(b, m->address, len);
	if (m->timeline > 0)
		jsonmember_add_number(b, "timeline", m->timeline);
	if (strcmp(m->role, "leader") != 0) {
		if (m->lag >= 0)
			jsonmember_add_number(b, "lag", m->lag);
		else
			jsonmember_add_string(b, "lag", "unknown");
	}
	buf_putc(b, '}');
}

static const char *
role_word(bool primary, bool synchronous, bool quorum)
{
	if (primary)
		return "leader";
	return !synchronous ? "replica"
	       : quorum     ? "quorum_standby"
			    : "sync_standby";
}

static void
add_own(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	char name[64];
	bool quorum, synchronous = health_is_synchronous(h, &quorum);

	ha_node_name(name, sizeof(name));
	add_member(b, &(struct member){
			      .name = name,
			      .address = conf_str("peer_listen"),
			      .role = role_word(h->role == PROBE_PRIMARY,
						synchronous, quorum),
			      .state = h->role == PROBE_NO_ROLE  ? "stopped"
				       : node && node->streaming ? "streaming"
								 : "running",
			      .timeline = node ? node->timeline : 0,
			      .lag = node ? node->lag_bytes : -1,
		      });
}

static void
add_peer(struct buf *b, const struct health *h,
	 const struct pairfile_peer *peer)
{
	const struct ha_state *s = &peer->state;
	const struct pgnode *node = health_node(h);
	bool up = s->pg == HA_PG_PRIMARY || s->pg == HA_PG_STANDBY;
	bool synchronous = h->role == PROBE_PRIMARY && node && s->streaming &&
			   names(node->sync_standbys, s->name);
	bool quorum =
		synchronous && strncasecmp(node->sync_standbys, "ANY ", 4) == 0;

	add_member(b,
		   &(struct member){
			   .name = *s->name ? s->name : "peer",
			   .address = conf_str("peer_address"),
			   .role = role_word(s->pg == HA_PG_PRIMARY,
					     synchronous, quorum),
			   .state = !peer->known || !peer->answers ? "unknown"
				    : !up                          ? "stopped"
				    : s->streaming                 ? "streaming"
								   : "running",
			   .timeline = s->timeline,
			   .lag = s->lag_bytes,
		   });
}

void
health_cluster_json(struct buf *b, const struct health *h)
{
	struct pairfile_peer peer;

	buf_puts(b, "{\"members\":[");
	add_own(b, h);
	if (*conf_str("peer_address")) {
		pairfile_peer(&peer);
		buf_putc(b, ',');
		add_peer(b, h, &peer);
	}
	buf_putc(b, ']');
	if (ha_is_maintenance(NULL))
		jsonmember_add_truth(b, "pause", true);
	buf_puts(b, ",\"scope\":\"" SCOPE "\"}\n");
}

/* --- history ----------------------------------------------------------- */

/* A promotion in the journal: who, and when to the millisecond. */
struct promotion {
	int64_t timeline; /* sought */
	char at[40], node[64];
};

static void
take_line(const char *line, void *arg)
{
	struct promotion *p = arg;
	json_t *object = json_loads(line, 0, NULL);
	const char *action =
		json_string_value(json_object_get(object, "action"));
	const char *event = json_string_value(json_object_get(object, "event"));
	const char *at = json_string_value(json_object_get(object, "at"));
	const char *node = json_string_value(json_object_get(object, "node"));

	if (action && event && at && node && strcmp(action, "promote") == 0 &&
	    strcmp(event, "done") == 0 &&
	    json_integer_value(json_object_get(object, "timeline")) ==
		    p->timeline) {
		snprintf(p->at, sizeof(p->at), "%s", at);
		snprintf(p->node, sizeof(p->node), "%s", node);
	}
	json_decref(object);
}

/* [timeline that ended, where, why, when the next one began, on which node] */
static void
add_timeline(struct buf *b, int64_t timeline, const char *position,
	     int64_t began, int64_t next, const char *reason)
{
	struct promotion p = { .timeline = next };
	struct verr ignored = VERR_INIT;
	time_t at = (time_t)began;
	struct tm tm;

	/* What may not be read is not told. */
	ha_journal_read(JOURNAL_LINES, take_line, &p, &ignored);
	if (!*p.at) {
		gmtime_r(&at, &tm);
		strftime(p.at, sizeof(p.at), "%Y-%m-%dT%H:%M:%S+00:00", &tm);
	}
	buf_printf(b, "[%" PRId64 ",%s,", timeline, position);
	out_json_string(b, reason, strlen(reason));
	buf_putc(b, ',');
	out_json_string(b, p.at, strlen(p.at));
	if (*p.node) {
		buf_putc(b, ',');
		out_json_string(b, p.node, strlen(p.node));
	}
	buf_putc(b, ']');
}

void
health_history_json(struct buf *b, const struct health *h)
{
	const char *line = h->history;
	char position[24], reason[256];
	int64_t timeline, began;

	buf_putc(b, '[');
	while (sscanf(line, "%" SCNd64 " %23[0-9] %" SCNd64 " %255[^\n]",
		      &timeline, position, &began, reason) == 4) {
		const char *end = strchr(line, '\n');
		int64_t next = strtoll(end ? end + 1 : "", NULL, 10);

		buf_puts(b, line == h->history ? "" : ",");
		add_timeline(b, timeline, position, began,
			     next ? next : h->timeline, reason);
		if (!end)
			break;
		line = end + 1;
	}
	buf_puts(b, "]\n");
}

/* --- metrics ----------------------------------------------------------- */

/* Seconds since the epoch when the other side was heard last. */
static double
last_seen(const struct pairfile_peer *peer)
{
	int64_t ms = ha_real_ms();

	if (*conf_str("peer_address"))
		ms = peer->answers ? ms - (verdict_now_ms() - peer->at_ms) : 0;
	return (double)ms / 1000;
}

void
health_patroni_metrics(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	const struct probe_server *server = health_server(h);
	bool up = h->role != PROBE_NO_ROLE, primary = h->role == PROBE_PRIMARY;
	bool standby = h->role == PROBE_STANDBY, quorum;
	bool synchronous = health_is_synchronous(h, &quorum);
	struct pairfile_peer peer;
	char name[64], label[160] = "";

	pairfile_peer(&peer);
	ha_node_name(name, sizeof(name));
	probe_label(label, sizeof(label), name);
	const struct {
		const char *name, *type, *help;
		double value;
	} rows[] = {
		{ "version", "gauge", "Whose words these are.",
		  PATRONI_VERSION },
		{ "postgres_running", "gauge", "1 while PostgreSQL runs.", up },
		{ "postmaster_start_time", "gauge",
		  "Seconds since the epoch, 0 while it does not run.",
		  server->started_at },
		{ "primary", "gauge", "1 if it is the primary.", primary },
		{ "xlog_location", "counter",
		  "Position written to, 0 if it is no primary.",
		  primary ? server->location : 0 },
		{ "standby_leader", "gauge", "0: there is no other cluster.",
		  0 },
		{ "replica", "gauge", "1 if it is a standby.", standby },
		{ "sync_standby", "gauge", "1 if the primary waits for it.",
		  synchronous && !quorum },
		{ "quorum_standby", "gauge",
		  "1 if the primary waits for any of several.",
		  synchronous && quorum },
		{ "xlog_received_location", "counter",
		  "Position received, 0 if it is no standby.",
		  standby ? server->received : 0 },
		{ "xlog_replayed_location", "counter",
		  "Position replayed, 0 if it is no standby.",
		  standby ? server->location : 0 },
		{ "xlog_replayed_timestamp", "gauge",
		  "When what was replayed last was committed, 0: unknown.",
		  standby ? server->replayed_at : 0 },
		{ "xlog_paused", "gauge", "1 while replay is paused.",
		  node && node->replay_paused },
		{ "postgres_streaming", "gauge", "1 while it streams.",
		  node && node->streaming },
		{ "postgres_in_archive_recovery", "gauge",
		  "1 if it is a standby that does not stream.",
		  node && standby && !node->streaming },
		{ "postgres_server_version", "gauge",
		  "0 while it does not run.", (double)server->version },
		{ "cluster_unlocked", "gauge",
		  "1 while no primary has the virtual address.",
		  !health_is_primary(h) && !is_peer_leader(&peer) },
		{ "failsafe_mode_is_active", "gauge", "0: there is none.", 0 },
		{ "failover_priority", "gauge", "1: the nodes are alike.", 1 },
		{ "postgres_timeline", "counter", "0 while it does not run.",
		  node ? (double)node->timeline : 0 },
		{ "dcs_last_seen", "gauge",
		  "When the peer was heard last; without a peer: now.",
		  last_seen(&peer) },
		{ "pending_restart", "gauge", "1 if a setting waits for one.",
		  server->pending_restart },
		{ "is_paused", "gauge", "1 during maintenance.",
		  ha_is_maintenance(NULL) },
		{ "postgres_state", "gauge", "5 running, 12 stopped.",
		  up ? STATE_RUNNING : STATE_STOPPED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		buf_printf(b,
			   "# HELP patroni_%s %s\n# TYPE patroni_%s %s\n"
			   "patroni_%s{name=\"%s\",scope=\"" SCOPE
			   "\"} %.15g\n",
			   rows[i].name, rows[i].help, rows[i].name,
			   rows[i].type, rows[i].name, label,
			   rows[i].value > 0 ? rows[i].value : 0);
}
