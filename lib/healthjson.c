#include <string.h>

#include "conf.h"
#include "hanode.h"
#include "health.h"
#include "jsonmember.h"
#include "pairfile.h"

static void
add_probe(struct buf *b, const struct health *h, size_t i)
{
	const struct probe_result *r = &h->results[i];

	buf_puts(b, "{\"name\":");
	out_json_string(b, probes[i].name, strlen(probes[i].name));
	jsonmember_add_string(b, "class",
			      probe_class_word(probe_class_of(&probes[i])));
	jsonmember_add_string(b, "state", probe_state_word(r->state));
	jsonmember_add_string(b, "detail", r->detail);
	jsonmember_add_truth(b, "counts", h->faulty[i]);
	jsonmember_add_number(b, "failures", h->failures[i]);
	jsonmember_add_number(b, "fall", probes[i].fall);
	jsonmember_add_number(b, "since", h->since[i]);
	jsonmember_add_number(b, "at", r->at);
	jsonmember_add_number(b, "ms", r->took_ms);
	if (r->state > PROBE_OFF)
		jsonmember_add_string(b, "remedy", probes[i].remedy);
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
	jsonmember_add_string(b, "cause", v.cause);
	jsonmember_add_string(b, "node", name);
	jsonmember_add_string(b, "role", v.role);
	jsonmember_add_truth(b, "virtual_address", v.has_address);
	jsonmember_add_string(b, "vrrp", ha_vrrp_word(pairfile_vrrp()));
	jsonmember_add_number(b, "at", v.at_ms);
	jsonmember_add_number(b, "valid_for", v.valid_ms);
	jsonmember_add_number(b, "time", ha_real_ms());
	if (node) {
		jsonmember_add_number(b, "timeline", node->timeline);
		jsonmember_add_string(b, "lsn", node->lsn);
		jsonmember_add_string(b, "replication", pgnode_state(node));
		jsonmember_add_number(b, "lag_bytes",
				      node->primary ? 0 : node->lag_bytes);
	}
	buf_puts(b, ",\"probes\":[");
	for (size_t i = 0; i < probe_count(); i++) {
		buf_puts(b, i ? "," : "");
		add_probe(b, h, i);
	}
	buf_puts(b, "]}\n");
}
