#include "health.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics.h"

void
health_probe_all(struct health *h)
{
	for (size_t i = 0; i < PROBE_COUNT; i++)
		probe_run(&probes[i], &h->results[i]);
}

const struct probe *
health_fault(const struct health *h)
{
	for (size_t i = 0; i < PROBE_COUNT; i++)
		if (probes[i].class == PROBE_FATAL &&
		    h->results[i].state == PROBE_FAILED)
			return &probes[i];
	return NULL;
}

enum probe_role
health_role(const struct health *h)
{
	for (size_t i = 0; i < PROBE_COUNT; i++)
		if (h->results[i].role != PROBE_NO_ROLE &&
		    h->results[i].state != PROBE_FAILED)
			return h->results[i].role;
	return PROBE_NO_ROLE;
}

int
health_print(const struct health *h, FILE *file, enum out_format format,
	     struct verr *e)
{
	static const struct out_column columns[] = {
		{ "probe", OUT_TEXT },  { "class", OUT_TEXT },
		{ "state", OUT_TEXT },  { "ms", OUT_NUMBER },
		{ "detail", OUT_TEXT },
	};
	struct out *o = out_begin(file, format, columns, 5, e);
	char ms[24];

	if (!o)
		return -1;
	for (size_t i = 0; i < PROBE_COUNT; i++) {
		const struct probe_result *r = &h->results[i];
		const char *const values[] = {
			probes[i].name,
			probe_class_word(probes[i].class),
			probe_state_word(r->state),
			ms,
			r->detail,
		};

		snprintf(ms, sizeof(ms), "%" PRId64, r->took_ms);
		out_row(o, values);
	}
	return out_end(o, e);
}

/* --- HTTP ------------------------------------------------------------- */

struct watch {
	struct loop_timer timer;
	struct loop *loop;
	struct health *health;
	size_t i;
};

struct serving {
	struct health health; /* the first member: health_routes' argument */
	struct watch watches[PROBE_COUNT];
};

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
	for (size_t i = 0; i < PROBE_COUNT; i++) {
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
	buf_printf(b, "# HELP %s 0 ok, 1 warning, 2 failed.\n# TYPE %s gauge\n",
		   name, name);
	for (size_t i = 0; i < PROBE_COUNT; i++)
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

static void
on_turn(void *arg)
{
	struct watch *w = arg;
	struct probe_result *r = &w->health->results[w->i];
	enum probe_state before = r->state;
	bool first = r->at == 0;

	probe_run(&probes[w->i], r);
	if ((first && r->state != PROBE_OK) || (!first && r->state != before))
		log_event(r->state == PROBE_OK ? LOG_LEVEL_INFO
					       : LOG_LEVEL_WARNING,
			  "probe", "name", probes[w->i].name, "state",
			  probe_state_word(r->state), "detail", r->detail,
			  NULL);
	loop_timer_set(w->loop, &w->timer, probes[w->i].interval_ms);
}

int
health_start(struct loop *loop, void **arg, struct verr *e)
{
	struct serving *s = calloc(1, sizeof(*s));

	if (!s)
		return verr_set(e, VERR_RETRY, "out of memory");
	for (size_t i = 0; i < PROBE_COUNT; i++) {
		struct watch *w = &s->watches[i];

		w->loop = loop;
		w->health = &s->health;
		w->i = i;
		w->timer.fn = on_turn;
		w->timer.arg = w;
		on_turn(w);
	}
	*arg = s;
	return 0;
}

void
health_stop(void *arg)
{
	struct serving *s = arg;

	for (size_t i = 0; i < PROBE_COUNT; i++)
		loop_timer_clear(s->watches[i].loop, &s->watches[i].timer);
	free(s);
}
