#include "intake.h"

#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "cdrqueue.h"
#include "conf.h"
#include "form.h"
#include "intakedrain.h"
#include "log.h"
#include "metrics.h"

/* A request that waits for its commit. */
struct entry {
	struct entry *next;
	struct http_request *request;
	char received_at[32];
	struct buf query_uuid;
	bool has_uuid;
	char *reason; /* it is a dead letter */
};

struct list {
	struct entry *first, **last;
	size_t count;
};

struct intake {
	struct loop *loop;
	struct db *db;
	struct spool *spool;
	struct list waiting;
	struct list sent; /* the INSERT that is under way */
	struct loop_timer send_timer;
	bool spooling; /* the last INSERT failed; said once */
	struct intake_drain drain;
};

/* --- entries ---------------------------------------------------------- */

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
	l->count = 0;
}

static void
list_append(struct list *l, struct entry *x)
{
	x->next = NULL;
	*l->last = x;
	l->last = &x->next;
	l->count++;
}

static struct entry *
list_take(struct list *l)
{
	struct entry *x = l->first;

	if (!x)
		return NULL;
	l->first = x->next;
	l->count--;
	if (!l->first)
		l->last = &l->first;
	return x;
}

static void
entry_free(struct entry *x)
{
	buf_release(&x->query_uuid);
	free(x->reason);
	free(x);
}

static struct cdrqueue_row
entry_row(const struct entry *x)
{
	return (struct cdrqueue_row){
		.body = x->request->body.data,
		.len = x->request->body.len,
		.received_at = x->received_at,
		.peer = x->request->peer,
		.query_uuid = x->has_uuid ? x->query_uuid.data : NULL,
		.content_type = x->request->content_type,
		.reason = x->reason,
	};
}

/* --- answers ---------------------------------------------------------- */

static void
reply_accepted(struct entry *x, const char *status)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "{\"status\":\"%s\"}\n", status);
	http_reply(x->request, 202, "application/json", b.data, b.len);
	buf_release(&b);
	entry_free(x);
}

static void
reply_failed(struct entry *x, const struct verr *e)
{
	struct verr unavailable = *e;

	unavailable.kind = VERR_RETRY;
	metric_add(METRIC_CDR_UNAVAILABLE, 1);
	http_reply_error(x->request, &unavailable);
	entry_free(x);
}

static void
fail_all(struct list *l, const struct verr *e)
{
	struct entry *x;

	while ((x = list_take(l)))
		reply_failed(x, e);
}

/* --- the spool -------------------------------------------------------- */

/*
 * Each file is written and fsynced by itself; what could not be staged is
 * refused alone, the others are published together.
 */
static void
spool_list_of(struct intake *in, struct list *l)
{
	struct list staged;
	struct entry *x;
	struct verr e = VERR_INIT;

	list_init(&staged);
	while ((x = list_take(l))) {
		struct cdrqueue_row row = entry_row(x);
		struct verr why = VERR_INIT;

		if (cdrqueue_stage(in->spool, &row, &why) == 0) {
			list_append(&staged, x);
			continue;
		}
		log_error("a CDR was refused: %s", why.msg);
		reply_failed(x, &why);
	}
	if (!staged.count)
		return;
	if (spool_publish(in->spool, &e) == -1) {
		log_error("%zu CDRs were refused: %s", staged.count, e.msg);
		fail_all(&staged, &e);
		return;
	}
	metric_add(METRIC_CDR_SPOOLED, (int64_t)staged.count);
	while ((x = list_take(&staged)))
		reply_accepted(x, "spooled");
	intake_drain_later(&in->drain);
}

/* --- the database ----------------------------------------------------- */

static void send_waiting(void *arg);

static void
on_written(struct db_result *r, const struct verr *e, void *arg)
{
	struct intake *in = arg;
	struct entry *x;

	if (r) {
		if (in->spooling)
			log_info("the database takes CDRs again");
		in->spooling = false;
		while ((x = list_take(&in->sent))) {
			metric_add(x->reason ? METRIC_CDR_DEAD
					     : METRIC_CDR_QUEUED,
				   1);
			reply_accepted(x, x->reason ? "dead" : "queued");
		}
		send_waiting(in);
		return;
	}
	if (!in->spooling)
		log_warning("CDRs go to the spool: %s", e->msg);
	in->spooling = true;
	spool_list_of(in, &in->sent);
	/* What came meanwhile would only wait for the same. */
	spool_list_of(in, &in->waiting);
}

static void
send_waiting(void *arg)
{
	struct intake *in = arg;
	struct db_param params[CDRQUEUE_PARAMS];
	struct cdrqueue_batch b;
	struct verr e = VERR_INIT;
	size_t max = (size_t)conf_int("cdr_batch_size");

	if (in->sent.count || !in->waiting.count)
		return;
	cdrqueue_init(&b);
	while (in->waiting.count && in->sent.count < max) {
		struct entry *x = list_take(&in->waiting);
		struct cdrqueue_row row = entry_row(x);

		cdrqueue_add(&b, &row);
		list_append(&in->sent, x);
	}
	metric_add(METRIC_CDR_BATCHES, 1);
	if (cdrqueue_params(&b, params, &e) == -1)
		fail_all(&in->sent, &e);
	else
		db_send(in->db, cdrqueue_sql, CDRQUEUE_PARAMS, params,
			conf_ms("cdr_deadline"), on_written, in);
	cdrqueue_release(&b);
}

/* --- requests --------------------------------------------------------- */

/*
 * "uuid=" of a query, without "a_", for whatever stands before it: FreeSWITCH
 * adds "?uuid=" also to a URL that has a query.  False: there is none.
 */
static bool
query_uuid(struct buf *uuid, const char *query)
{
	const char *p = query, *found = NULL;
	size_t len;

	for (; (p = strstr(p, "uuid=")); p++)
		if (p == query || p[-1] == '&' || p[-1] == '?')
			found = p + strlen("uuid=");
	if (!found)
		return false;
	len = strcspn(found, "&?");
	if (strncmp(found, "a_", 2) == 0) {
		found += 2;
		len -= 2;
	}
	if (len == 0 || len > 384)
		return false;
	form_decode(uuid, found, len, false);
	return true;
}

/*
 * Whether it can become a record.  FreeSWITCH's own is then set aside with the
 * reason, since no retry can mend it; from anybody else it is refused.
 */
static int
check_body(struct entry *x, struct verr *e)
{
	const struct buf *body = &x->request->body;
	int rc;

	rc = body->len ? cdr_check(body->data, body->len, e)
		       : verr_set(e, VERR_INPUT, "the body is empty");
	if (rc == 0 || e->kind != VERR_INPUT || !x->has_uuid)
		return rc;
	x->reason = strdup(e->msg);
	if (!x->reason)
		return verr_set(e, VERR_RETRY, "out of memory");
	log_event(LOG_LEVEL_WARNING, "dead letter", "uuid", x->query_uuid.data,
		  "peer", x->request->peer, "reason", e->msg, NULL);
	return 0;
}

static void
on_cdr(struct http_request *r, void *arg)
{
	struct intake *in = arg;
	struct verr e = VERR_INIT;
	struct entry *x = calloc(1, sizeof(*x));

	if (!x) {
		verr_set(&e, VERR_RETRY, "out of memory");
		http_reply_error(r, &e);
		return;
	}
	x->request = r;
	x->query_uuid = BUF_INIT;
	x->has_uuid = query_uuid(&x->query_uuid, r->query);
	cdrqueue_now(x->received_at);
	if (check_body(x, &e) == -1) {
		if (e.kind == VERR_INPUT)
			metric_add(METRIC_CDR_REFUSED, 1);
		http_reply_error(r, &e);
		entry_free(x);
		return;
	}
	list_append(&in->waiting, x);
	/* What arrives in this turn of the loop goes together. */
	if (!in->sent.count && !in->send_timer.is_set)
		loop_timer_set(in->loop, &in->send_timer, 0);
}

static void
on_metrics(struct http_request *r, void *arg)
{
	struct intake *in = arg;
	struct verr e = VERR_INIT;
	size_t count = 0;
	int64_t bytes = 0;

	if (spool_usage(in->spool, &count, &bytes, &e) == -1)
		log_error("%s", e.msg);
	metric_set(METRIC_CDR_SPOOL_FILES, (int64_t)count);
	metric_set(METRIC_CDR_SPOOL_BYTES, bytes);
	http_reply_metrics(r, METRIC_GROUP_HTTP | METRIC_GROUP_DB |
				      METRIC_GROUP_CDR);
}

static void
on_health(struct http_request *r, void *arg)
{
	struct intake *in = arg;
	struct buf b = BUF_INIT;

	buf_printf(&b,
		   "{\"status\":\"ok\",\"database\":\"%s\","
		   "\"spool\":\"%s\"}\n",
		   db_is_up(in->db) ? "up" : "down",
		   spool_is_empty(in->spool) ? "empty" : "in use");
	http_reply(r, 200, "application/json", b.data, b.len);
	buf_release(&b);
}

const struct http_route intake_routes[] = {
	{ "POST", "/fs/cdr", INTAKE_BODY_MAX, false, on_cdr },
	{ "POST", "/api/cdr", INTAKE_BODY_MAX, false, on_cdr },
	{ "GET", "/metrics", 0, true, on_metrics },
	{ "GET", "/health", 0, true, on_health },
	{ .method = NULL },
};

/* --- life ------------------------------------------------------------- */

struct spool *
intake_open_spool(struct verr *e)
{
	return spool_open(conf_str("cdr_spool_dir"),
			  conf_bytes("cdr_spool_limit"), e);
}

static void
on_database(bool up, void *arg)
{
	struct intake *in = arg;

	if (up)
		intake_drain_now(&in->drain);
}

struct intake *
intake_new(struct loop *loop, struct verr *e)
{
	struct db_options o = { 0 };
	struct intake *in = calloc(1, sizeof(*in));

	if (!in) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	in->loop = loop;
	list_init(&in->waiting);
	list_init(&in->sent);
	in->send_timer = (struct loop_timer){ .fn = send_waiting, .arg = in };
	in->spool = intake_open_spool(e);
	if (!in->spool)
		goto fail;
	cdrqueue_db_options(&o);
	in->db = db_new(&o, e);
	if (!in->db)
		goto fail;
	db_attach(in->db, loop);
	db_on_state(in->db, on_database, in);
	if (spool_clean(in->spool, e) == -1)
		goto fail;
	intake_drain_init(&in->drain, loop, in->db, in->spool, &in->spooling);
	intake_drain_now(&in->drain);
	return in;

fail:
	intake_free(in);
	return NULL;
}

/* The requests themselves are the server's to release. */
void
intake_free(struct intake *in)
{
	struct verr e = VERR_INIT;

	if (!in)
		return;
	loop_timer_clear(in->loop, &in->send_timer);
	verr_set(&e, VERR_RETRY, "the program ends");
	/* Its callbacks spool what was under way. */
	db_free(in->db);
	intake_drain_release(&in->drain);
	fail_all(&in->waiting, &e);
	spool_close(in->spool);
	free(in);
}

void
intake_reload(struct intake *in)
{
	db_reload(in->db);
}

bool
intake_busy(const struct intake *in)
{
	return in->waiting.count || in->sent.count ||
	       !spool_is_empty(in->spool);
}
