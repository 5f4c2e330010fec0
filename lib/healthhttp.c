#include <inttypes.h>
#include <string.h>

#include "health.h"
#include "metrics.h"

static void
add_string(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":", name);
	out_json_string(b, value, strlen(value));
}

static void
render_json(struct buf *b, const struct health *h)
{
	buf_printf(b, "{\"status\":\"%s\",\"probes\":[",
		   health_fault(h) ? "unhealthy" : "healthy");
	for (size_t i = 0; i < probe_count(); i++) {
		const struct probe_result *r = &h->results[i];

		buf_printf(b, "%s{\"at\":%" PRId64 ",\"ms\":%" PRId64,
			   i ? "," : "", r->at, r->took_ms);
		add_string(b, "name", probes[i].name);
		add_string(b, "class", probe_class_word(probes[i].class));
		add_string(b, "state", probe_state_word(r->state));
		add_string(b, "detail", r->detail);
		buf_putc(b, '}');
	}
	buf_puts(b, "]}\n");
}

static void
render_metrics(struct buf *b, const struct health *h)
{
	static const char name[] = "voip_health_probe_state";

	metric_render(b, METRIC_GROUP_HTTP);
	buf_printf(b,
		   "# HELP voip_health_healthy 1 while no local fatal probe "
		   "fails.\n# TYPE voip_health_healthy gauge\n"
		   "voip_health_healthy %d\n",
		   !health_fault(h));
	buf_printf(
		b,
		"# HELP %s 0 ok, 1 off, 2 warning, 3 failed.\n# TYPE %s gauge\n",
		name, name);
	for (size_t i = 0; i < probe_count(); i++)
		buf_printf(b, "%s{probe=\"%s\"} %d\n", name, probes[i].name,
			   (int)h->results[i].state);
}

static void
reply(struct http_request *r, int status, const char *type, struct buf *b)
{
	if (buf_failed(b))
		http_reply(r, 503, NULL, "", 0);
	else
		http_reply(r, status, type, b->data, b->len);
	buf_release(b);
}

static void
reply_json(struct http_request *r, const struct health *h, bool good)
{
	struct buf b = BUF_INIT;

	render_json(&b, h);
	reply(r, good ? 200 : 503, "application/json", &b);
}

static void
on_health(struct http_request *r, void *arg)
{
	reply_json(r, arg, !health_fault(arg));
}

static void
on_live(struct http_request *r, void *arg)
{
	(void)arg;
	http_reply(r, 200, "text/plain", "alive\n", 6);
}

static void
on_primary(struct http_request *r, void *arg)
{
	reply_json(r, arg, health_role(arg) == PROBE_PRIMARY);
}

static void
on_replica(struct http_request *r, void *arg)
{
	reply_json(r, arg, health_role(arg) == PROBE_STANDBY);
}

static void
on_metrics(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;

	render_metrics(&b, arg);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

const struct http_route health_routes[] = {
	{ "GET", "/health", 0, true, on_health },
	{ "GET", "/readyz", 0, true, on_health },
	{ "GET", "/livez", 0, true, on_live },
	{ "GET", "/primary", 0, true, on_primary },
	{ "GET", "/replica", 0, true, on_replica },
	{ "GET", "/metrics", 0, true, on_metrics },
	{ .method = NULL },
};
