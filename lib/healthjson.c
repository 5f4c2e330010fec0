#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
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
