#include <inttypes.h>
#include <string.h>

#include "conf.h"
#include "hanode.h"
#include "health.h"
#include "metrics.h"
#include "pairfile.h"

/* What the probes tell in numbers; a name belongs to one probe. */
static const struct {
	const char *name; /* or all that begin so: "patroni_*" */
	const char *type;
	const char *help;
} names[] = {
	{ "freeswitch_sessions_total", "counter", "Sessions since startup." },
	{ "freeswitch_up", "gauge", "1 while the event socket answers." },
	{ "freeswitch_current_calls", "gauge", "Calls now." },
	{ "freeswitch_registrations", "gauge", "Registrations now." },
	{ "freeswitch_sofia_gateway_status", "gauge", "1 while it is up." },
	{ "freeswitch_sofia_profile_running", "gauge", "1 while it runs." },
	{ "freeswitch_*", "gauge", "As FreeSWITCH's status says." },
	{ "kamailio_up", "gauge", "1 while OPTIONS are answered." },
	{ "kamailio_core_uptime_uptime_total", "counter", "Seconds." },
	{ "kamailio_tm_stats_codes_total", "counter", "Transactions by code." },
	{ "kamailio_tm_stats_created_total", "counter", "Transactions." },
	{ "kamailio_tm_stats_freed_total", "counter", "Transactions freed." },
	{ "kamailio_*", "gauge", "As Kamailio's RPC says." },
	{ "patroni_xlog_location", "counter", "Position written to." },
	{ "patroni_xlog_received_location", "counter", "Position received." },
	{ "patroni_xlog_replayed_location", "counter", "Position replayed." },
	{ "patroni_*", "gauge", "As Patroni has it." },
	{ "voip_replication_lag_bytes", "gauge",
	  "Announced by the primary and not replayed; absent: unknown." },
	{ "voip_replication_lag_seconds", "gauge",
	  "Age of what was replayed last, 0 when nothing is due." },
	{ "voip_replication_message_age_seconds", "gauge",
	  "Since the primary said something." },
	{ "voip_*", "gauge", "See voip-health(8)." },
};

static bool
is_named(const char *pattern, const char *name, size_t len)
{
	size_t n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return len >= n - 1 && strncmp(pattern, name, n - 1) == 0;
	return n == len && strncmp(pattern, name, n) == 0;
}

static void
add_head(struct buf *b, const char *name, size_t len)
{
	size_t i = 0;

	while (i < sizeof(names) / sizeof(names[0]) - 1 &&
	       !is_named(names[i].name, name, len))
		i++;
	buf_printf(b, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name,
		   names[i].help, (int)len, name, names[i].type);
}

static void
add_lines(struct buf *b, const char *lines)
{
	const char *last = "";
	size_t last_len = 0;

	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
		size_t len = strcspn(lines, "{ ");

		if (len != last_len || strncmp(lines, last, len) != 0)
			add_head(b, lines, len);
		last = lines;
		last_len = len;
		buf_add(b, lines, (size_t)(end - lines) + 1);
	}
}

static void
add_gauge(struct buf *b, const char *name, const char *help, double value)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s gauge\n%s %.15g\n", name, help,
		   name, name, value);
}

/* Both sides count: more than one primary, or none, is what must be told. */
static void
add_pair(struct buf *b, const struct health *h)
{
	struct pairfile_peer peer;
	int writers = h->role == PROBE_PRIMARY;

	if (*conf_str("peer_address")) {
		pairfile_peer(&peer);
		writers += peer.known && peer.answers && peer.state.writable;
	}
	add_gauge(b, "voip_cluster_writers",
		  "Primaries that take writes, seen from this node.", writers);
}

static void
add_probes(struct buf *b, const struct health *h)
{
	static const char state[] = "voip_health_probe_state";
	static const char took[] = "voip_health_probe_seconds";

	buf_printf(b,
		   "# HELP %s 0 ok, 1 off, 2 warning, 3 failed.\n"
		   "# TYPE %s gauge\n",
		   state, state);
	for (size_t i = 0; i < probe_count(); i++)
		buf_printf(b, "%s{probe=\"%s\"} %d\n", state, probes[i].name,
			   (int)h->results[i].state);
	buf_printf(b, "# HELP %s Time that it took.\n# TYPE %s gauge\n", took,
		   took);
	for (size_t i = 0; i < probe_count(); i++)
		buf_printf(b, "%s{probe=\"%s\"} %.3f\n", took, probes[i].name,
			   (double)h->results[i].took_ms / 1000);
}

void
health_metrics(struct buf *b, const struct health *h)
{
	struct verdict v;

	metric_render(b, METRIC_GROUP_HTTP);
	health_judge(h, &v);
	add_gauge(b, "voip_health_healthy", "1 while the node is fit.", v.fit);
	add_gauge(b, "voip_health_held",
		  "1 while it is fit only since the peer is worse.", v.held);
	add_pair(b, h);
	add_probes(b, h);
	for (size_t i = 0; i < probe_count(); i++)
		add_lines(b, h->results[i].metrics);
}
