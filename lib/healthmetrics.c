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
	{ "freeswitch_sofia_gateway_*", "gauge", "As sofia status says." },
	{ "freeswitch_time_synced", "gauge", "1 while its clock is ours." },
	{ "freeswitch_sofia_profile_running", "gauge", "1 while it runs." },
	{ "freeswitch_*", "gauge", "As FreeSWITCH's status says." },
	{ "kamailio_up", "gauge", "1 while OPTIONS are answered." },
	{ "kamailio_core_uptime_uptime_total", "counter", "Seconds." },
	{ "kamailio_tm_stats_current", "gauge", "Transactions now." },
	{ "kamailio_tm_stats_waiting", "gauge", "Transactions waiting." },
	{ "kamailio_tm_stats_*", "counter", "As Kamailio's tm counts them." },
	{ "kamailio_sl_stats_*", "counter", "Stateless answers." },
	{ "kamailio_dispatcher_list_target", "gauge", "1 for each target." },
	{ "kamailio_*", "gauge", "As Kamailio's RPC says." },
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

static void
add_exporter(struct buf *b, const char *prefix, uint64_t taken, uint64_t failed)
{
	buf_printf(b,
		   "# HELP %s_exporter_total_scrapes Looks taken.\n"
		   "# TYPE %s_exporter_total_scrapes counter\n"
		   "%s_exporter_total_scrapes %" PRIu64 "\n"
		   "# HELP %s_exporter_failed_scrapes Looks that failed.\n"
		   "# TYPE %s_exporter_failed_scrapes counter\n"
		   "%s_exporter_failed_scrapes %" PRIu64 "\n",
		   prefix, prefix, prefix, taken, prefix, prefix, prefix,
		   failed);
}

static void
add_counts(struct buf *b, const struct health *h)
{
	static const struct {
		const char *probe;
		const char *prefix;
	} exporters[] = {
		{ "freeswitch", "freeswitch" },
		{ "kamailio-rpc", "kamailio" },
	};
	static const char runs[] = "voip_health_probe_runs_total";
	static const char failed[] = "voip_health_probe_failures_total";

	buf_printf(b, "# HELP %s How often it was tried.\n# TYPE %s counter\n",
		   runs, runs);
	for (size_t i = 0; i < probe_count(); i++)
		buf_printf(b, "%s{probe=\"%s\"} %" PRIu64 "\n", runs,
			   probes[i].name, h->taken[i]);
	buf_printf(b, "# HELP %s How often it failed.\n# TYPE %s counter\n",
		   failed, failed);
	for (size_t i = 0; i < probe_count(); i++)
		buf_printf(b, "%s{probe=\"%s\"} %" PRIu64 "\n", failed,
			   probes[i].name, h->failed[i]);
	/* The same by the names that exporters have for it. */
	for (size_t e = 0; e < sizeof(exporters) / sizeof(*exporters); e++)
		for (size_t i = 0; i < probe_count(); i++)
			if (strcmp(probes[i].name, exporters[e].probe) == 0 &&
			    h->results[i].state != PROBE_OFF)
				add_exporter(b, exporters[e].prefix,
					     h->taken[i], h->failed[i]);
}

void
health_metrics(struct buf *b, const struct health *h)
{
	struct verdict v;

	metric_render(b, METRIC_GROUP_HTTP);
	health_judge(h, &v);
	add_gauge(b, "voip_health_healthy", "1 while the node is fit.",
		  v.fit && !v.no_database && health_is_settled(h));
	add_gauge(b, "voip_health_held",
		  "1 while it is fit only since the peer is worse.", v.held);
	add_pair(b, h);
	health_patroni_metrics(b, h);
	add_probes(b, h);
	add_counts(b, h);
	for (size_t i = 0; i < probe_count(); i++)
		add_lines(b, h->results[i].metrics);
}
