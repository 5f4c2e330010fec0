#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "hajournal.h"
#include "hanode.h"
#include "health.h"
#include "pairfile.h"

static void
add_string(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":", name);
	out_json_string(b, value, strlen(value));
}

static void
add_truth(struct buf *b, const char *name, bool value)
{
	buf_printf(b, ",\"%s\":%s", name, value ? "true" : "false");
}

static void
add_number(struct buf *b, const char *name, int64_t value)
{
	if (value >= 0)
		buf_printf(b, ",\"%s\":%" PRId64, name, value);
	else
		buf_printf(b, ",\"%s\":null", name);
}

static void
add_probe(struct buf *b, const struct health *h, size_t i)
{
	const struct probe_result *r = &h->results[i];

	buf_puts(b, "{\"name\":");
	out_json_string(b, probes[i].name, strlen(probes[i].name));
	add_string(b, "class", probe_class_word(probe_class_of(&probes[i])));
	add_string(b, "state", probe_state_word(r->state));
	add_string(b, "detail", r->detail);
	add_truth(b, "counts", h->faulty[i]);
	add_number(b, "failures", h->failures[i]);
	add_number(b, "fall", probes[i].fall);
	add_number(b, "since", h->since[i]);
	add_number(b, "at", r->at);
	add_number(b, "ms", r->took_ms);
	if (r->state > PROBE_OFF)
		add_string(b, "remedy", probes[i].remedy);
	buf_putc(b, '}');
}

void
health_json(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	struct verdict v;
	char name[64];

	health_judge(h, &v);
	ha_node_name(name, sizeof(name));
	buf_printf(b, "{\"status\":\"%s\",\"verdict\":\"%s\"",
		   v.fit ? "healthy" : "unhealthy",
		   !v.fit   ? "unfit"
		   : v.held ? "held"
			    : "fit");
	add_string(b, "cause", v.cause);
	add_string(b, "node", name);
	add_string(b, "role", v.role);
	add_truth(b, "virtual_address", v.has_address);
	add_string(b, "vrrp", ha_vrrp_word(pairfile_vrrp()));
	add_number(b, "at", v.at_ms);
	add_number(b, "valid_for", v.valid_ms);
	add_number(b, "time", ha_real_ms());
	if (node) {
		add_number(b, "timeline", node->timeline);
		add_string(b, "lsn", node->lsn);
		add_string(b, "replication", pgnode_state(node));
		add_number(b, "lag_bytes", node->primary ? 0 : node->lag_bytes);
	}
	buf_puts(b, ",\"probes\":[");
	for (size_t i = 0; i < probe_count(); i++) {
		buf_puts(b, i ? "," : "");
		add_probe(b, h, i);
	}
	buf_puts(b, "]}\n");
}

/* --- as Patroni tells ------------------------------------------------- */

/* "16/B374D848" as a number. */
static int64_t
position(const char *lsn)
{
	unsigned high = 0, low = 0;

	if (sscanf(lsn, "%X/%X", &high, &low) != 2)
		return -1;
	return (int64_t)high << 32 | low;
}

void
health_patroni_json(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	char name[64];

	ha_node_name(name, sizeof(name));
	buf_printf(b, "{\"state\":\"%s\",\"role\":\"%s\"",
		   h->role == PROBE_NO_ROLE ? "stopped" : "running",
		   h->role == PROBE_PRIMARY ? "primary" : "replica");
	if (node) {
		add_number(b, "timeline", node->timeline);
		buf_printf(b, ",\"xlog\":{\"%s\":%" PRId64,
			   node->primary ? "location" : "replayed_location",
			   position(node->lsn));
		if (!node->primary) {
			add_number(b, "lag", node->lag_bytes);
			add_truth(b, "paused", node->replay_paused);
		}
		buf_putc(b, '}');
		if (!node->primary)
			add_string(b, "replication_state",
				   node->streaming ? "streaming"
						   : "in archive recovery");
	}
	buf_puts(b, ",\"patroni\":{\"scope\":\"voip\"");
	add_string(b, "name", name);
	add_string(b, "version", VERSION);
	buf_puts(b, "}}\n");
}

static void
add_member(struct buf *b, const char *name, const char *host, const char *role,
	   const char *state, int64_t timeline, int64_t lag)
{
	buf_puts(b, "{\"name\":");
	out_json_string(b, name, strlen(name));
	add_string(b, "role", role);
	add_string(b, "state", state);
	add_string(b, "host", host);
	if (timeline > 0)
		add_number(b, "timeline", timeline);
	if (strcmp(role, "replica") == 0) {
		if (lag >= 0)
			add_number(b, "lag", lag);
		else
			add_string(b, "lag", "unknown");
	}
	buf_putc(b, '}');
}

static void
add_peer(struct buf *b, const struct pairfile_peer *peer)
{
	const struct ha_state *s = &peer->state;
	bool up = s->pg == HA_PG_PRIMARY || s->pg == HA_PG_STANDBY;
	char host[128];

	snprintf(host, sizeof(host), "%s", conf_str("peer_address"));
	if (strrchr(host, ':'))
		*strrchr(host, ':') = '\0';
	add_member(b, *s->name ? s->name : "peer", host,
		   s->pg == HA_PG_PRIMARY ? "leader" : "replica",
		   !peer->answers ? "unknown"
		   : !up          ? "stopped"
		   : s->streaming ? "streaming"
				  : "running",
		   s->timeline, s->lag_bytes);
}

void
health_cluster_json(struct buf *b, const struct health *h)
{
	const struct pgnode *node = health_node(h);
	struct pairfile_peer peer;
	char name[64];

	ha_node_name(name, sizeof(name));
	buf_puts(b, "{\"members\":[");
	add_member(b, name, conf_str("peer_listen"),
		   h->role == PROBE_PRIMARY ? "leader" : "replica",
		   h->role == PROBE_NO_ROLE  ? "stopped"
		   : node && node->streaming ? "streaming"
					     : "running",
		   node ? node->timeline : 0, node ? node->lag_bytes : -1);
	if (*conf_str("peer_address")) {
		pairfile_peer(&peer);
		buf_putc(b, ',');
		add_peer(b, &peer);
	}
	buf_puts(b, "],\"scope\":\"voip\"}\n");
}

/* --- history ---------------------------------------------------------- */

struct history {
	struct buf *b;
	bool more;
};

/* The promotions that came to their end: [timeline, lsn, why, when, node]. */
static void
take_line(const char *line, void *arg)
{
	struct history *history = arg;
	json_t *object = json_loads(line, 0, NULL);
	const char *action =
		json_string_value(json_object_get(object, "action"));
	const char *event = json_string_value(json_object_get(object, "event"));
	const char *at = json_string_value(json_object_get(object, "at"));
	const char *why = json_string_value(json_object_get(object, "why"));
	char name[64];

	if (action && event && at && strcmp(action, "promote") == 0 &&
	    strcmp(event, "done") == 0) {
		ha_node_name(name, sizeof(name));
		buf_printf(history->b, "%s[%" PRId64 ",%" PRId64,
			   history->more ? "," : "",
			   (int64_t)json_integer_value(
				   json_object_get(object, "timeline")),
			   (int64_t)json_integer_value(
				   json_object_get(object, "lsn")));
		history->more = true;
		buf_putc(history->b, ',');
		out_json_string(history->b, why ? why : "",
				strlen(why ? why : ""));
		buf_putc(history->b, ',');
		out_json_string(history->b, at, strlen(at));
		buf_putc(history->b, ',');
		out_json_string(history->b, name, strlen(name));
		buf_putc(history->b, ']');
	}
	json_decref(object);
}

void
health_history_json(struct buf *b)
{
	struct history history = { .b = b };
	struct verr ignored = VERR_INIT;

	buf_putc(b, '[');
	/* What may not be read is not told. */
	ha_journal_read(1000, take_line, &history, &ignored);
	buf_puts(b, "]\n");
}
