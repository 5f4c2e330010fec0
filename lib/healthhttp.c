#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "health.h"

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
reply_json(struct http_request *r, bool good, struct buf *b)
{
	reply(r, good ? 200 : 503, "application/json", b);
}

/* --- this program's ------------------------------------------------------ */

static void
on_health(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;
	struct verdict v;

	health_judge(arg, &v);
	health_json(&b, arg);
	reply_json(r, v.fit && !v.no_database && health_is_settled(arg), &b);
}

/* Who can answer lives: everything else runs in other processes. */
static void
on_live(struct http_request *r, void *arg)
{
	(void)arg;
	http_reply(r, 200, "text/plain", "alive\n", 6);
}

static void
on_metrics(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;

	health_metrics(&b, arg);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

/* --- Patroni's ----------------------------------------------------------- */

/* What stands behind "NAME=", or NULL. */
static const char *
parameter(const struct http_request *r, const char *name)
{
	size_t len = strlen(name);
	const char *at = r->query;

	while (*at) {
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return at + len + 1;
		at += strcspn(at, "&");
		at += *at == '&';
	}
	return NULL;
}

/* "10485760", "10MB", "16kB": bytes; as Patroni, what is no size is no limit.
 */
static bool
has_limit(const struct http_request *r, double *limit)
{
	static const struct {
		const char *unit;
		double bytes;
	} units[] = {
		{ "", 1 },
		{ "B", 1 },
		{ "kB", 1024 },
		{ "MB", 1024.0 * 1024 },
		{ "GB", 1024.0 * 1024 * 1024 },
		{ "TB", 1024.0 * 1024 * 1024 * 1024 },
	};
	const char *at = parameter(r, "lag");
	char *end;
	double n;

	if (!at || !*at || !strchr("+-.0123456789", *at))
		return false;
	n = strtod(at, &end);
	for (size_t i = 0; end != at && i < sizeof(units) / sizeof(units[0]);
	     i++)
		if (strlen(units[i].unit) == strcspn(end, "&") &&
		    strncmp(end, units[i].unit, strlen(units[i].unit)) == 0) {
			*limit = n * units[i].bytes;
			return true;
		}
	return false;
}

/* Whoever asks for a tag does not ask for this node: it has none. */
static bool
wants_tag(const struct http_request *r)
{
	return strncmp(r->query, "tag_", 4) == 0 || strstr(r->query, "&tag_");
}

static bool
is_in_state(const struct pgnode *node, const struct http_request *r)
{
	const char *state = parameter(r, "replication_state");

	return !state ||
	       (node &&
		node->streaming == (strncmp(state, "streaming", 9) == 0));
}

/* A lag that nobody knows is too much for who asks about it. */
static bool
is_replica(const struct health *h, const struct http_request *r)
{
	const struct pgnode *node = health_node(h);
	double limit;

	if (h->role != PROBE_STANDBY || wants_tag(r) || !is_in_state(node, r))
		return false;
	return !has_limit(r, &limit) ||
	       (node && node->streaming && node->lag_bytes >= 0 &&
		(double)node->lag_bytes <= limit);
}

static bool
is_synchronous(const struct health *h)
{
	bool quorum;

	return health_is_synchronous(h, &quorum);
}

static bool
is_quorum(const struct health *h)
{
	bool quorum;

	return health_is_synchronous(h, &quorum) && quorum;
}

/* A standby that streams and is not too far behind, or the leader. */
static bool
is_ready(const struct health *h, const struct http_request *r)
{
	const struct pgnode *node = health_node(h);
	const char *mode = parameter(r, "mode");
	double limit, lag;

	if (health_is_primary(h))
		return true;
	if (!has_limit(r, &limit))
		limit = (double)conf_bytes("health_lag_bytes");
	if (h->role != PROBE_STANDBY || !node || !node->streaming ||
	    node->lag_bytes < 0)
		return false;
	lag = (double)node->lag_bytes;
	/* What has arrived, and is not replayed. */
	if (mode && strncmp(mode, "write", 5) == 0)
		lag -= health_server(h)->received - health_server(h)->location;
	return lag <= limit;
}

/* What Patroni's words ask for (its manual, "REST API"). */
enum question {
	PRIMARY,
	REPLICA,
	READ_ONLY,
	SYNCHRONOUS,
	READ_ONLY_SYNC,
	ASYNCHRONOUS,
	QUORUM,
	READ_ONLY_QUORUM,
	STANDBY_LEADER,
	READINESS,
	STATUS,
};

static bool
is_so(enum question q, const struct health *h, const struct http_request *r)
{
	switch (q) {
	case PRIMARY:
		return health_is_primary(h);
	case REPLICA:
		return is_replica(h, r);
	case READ_ONLY:
		return health_is_primary(h) || is_replica(h, r);
	case SYNCHRONOUS:
		return is_synchronous(h);
	case READ_ONLY_SYNC:
		return health_is_primary(h) || is_synchronous(h);
	case ASYNCHRONOUS:
		return is_replica(h, r) && !is_synchronous(h);
	case QUORUM:
		return is_quorum(h);
	case READ_ONLY_QUORUM:
		return health_is_primary(h) || is_quorum(h);
	case READINESS:
		return is_ready(h, r);
	case STATUS:
		return true;
	case STANDBY_LEADER:
		return false; /* there are two nodes, and no other cluster */
	}
	return false;
}

static const struct {
	const char *path;
	enum question question;
} words[] = {
	{ "/", PRIMARY },
	{ "/primary", PRIMARY },
	{ "/master", PRIMARY },
	{ "/leader", PRIMARY },
	{ "/read-write", PRIMARY },
	{ "/replica", REPLICA },
	{ "/read-only", READ_ONLY },
	{ "/sync", SYNCHRONOUS },
	{ "/synchronous", SYNCHRONOUS },
	{ "/read-only-sync", READ_ONLY_SYNC },
	{ "/read-only-synchronous", READ_ONLY_SYNC },
	{ "/quorum", QUORUM },
	{ "/read-only-quorum", READ_ONLY_QUORUM },
	{ "/async", ASYNCHRONOUS },
	{ "/asynchronous", ASYNCHRONOUS },
	{ "/standby-leader", STANDBY_LEADER },
	{ "/standby_leader", STANDBY_LEADER },
	{ "/readiness", READINESS },
	{ "/patroni", STATUS },
	{ .path = NULL },
};

static void
on_word(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;
	size_t i = 0;

	while (words[i].path && strcmp(words[i].path, r->path) != 0)
		i++;
	if (!words[i].path) {
		http_reply(r, 404, NULL, "", 0);
		return;
	}
	health_patroni_json(&b, arg);
	reply_json(r, is_so(words[i].question, arg, r), &b);
}

static void
on_cluster(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;

	health_cluster_json(&b, arg);
	reply_json(r, true, &b);
}

static void
on_history(struct http_request *r, void *arg)
{
	struct buf b = BUF_INIT;

	health_history_json(&b, arg);
	reply_json(r, true, &b);
}

/* HAProxy asks by OPTIONS when it is told nothing else. */
#define ASKED(path, fn)                      \
	{ "GET", path, 0, true, fn },        \
	{                                    \
		"OPTIONS", path, 0, true, fn \
	}
#define WORD(path) ASKED(path, on_word)

const struct http_route health_routes[] = {
	ASKED("/health", on_health),
	ASKED("/ready", on_health),
	ASKED("/readyz", on_health),
	ASKED("/live", on_live),
	ASKED("/livez", on_live),
	ASKED("/liveness", on_live),
	ASKED("/metrics", on_metrics),
	ASKED("/cluster", on_cluster),
	ASKED("/history", on_history),
	WORD("/"),
	WORD("/primary"),
	WORD("/master"),
	WORD("/leader"),
	WORD("/read-write"),
	WORD("/replica"),
	WORD("/read-only"),
	WORD("/sync"),
	WORD("/synchronous"),
	WORD("/read-only-sync"),
	WORD("/read-only-synchronous"),
	WORD("/quorum"),
	WORD("/read-only-quorum"),
	WORD("/async"),
	WORD("/asynchronous"),
	WORD("/standby-leader"),
	WORD("/standby_leader"),
	WORD("/readiness"),
	WORD("/patroni"),
	{ .method = NULL },
};
