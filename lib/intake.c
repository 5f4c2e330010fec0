#include "intake.h"

#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "cdrqueue.h"
#include "conf.h"
#include "form.h"
#include "log.h"
#include "metrics.h"

#define DRAIN_MAX          1000 /* records in one transaction */
#define DRAIN_PAUSE_MS     1000
#define DRAIN_PAUSE_MAX_MS 30000

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
	/* draining */
	struct loop_timer drain_timer;
	int64_t drain_pause_ms;
	bool draining;
	size_t drain_max;
	char **names; /* what the drain's INSERT holds */
	size_t nnames;
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

static void drain_later(struct intake *in, int64_t ms);

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
	drain_later(in, in->drain_pause_ms);
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

/* --- draining --------------------------------------------------------- */

static void
free_names(struct intake *in)
{
	for (size_t i = 0; i < in->nnames; i++)
		free(in->names[i]);
	free(in->names);
	in->names = NULL;
	in->nnames = 0;
}

static void
drain_later(struct intake *in, int64_t ms)
{
	if (!in->draining && !in->drain_timer.is_set)
		loop_timer_set(in->loop, &in->drain_timer, ms);
}

static void
drain_again(struct intake *in, bool good)
{
	in->draining = false;
	free_names(in);
	if (good) {
		in->drain_pause_ms = DRAIN_PAUSE_MS;
	} else {
		in->drain_pause_ms *= 2;
		if (in->drain_pause_ms > DRAIN_PAUSE_MAX_MS)
			in->drain_pause_ms = DRAIN_PAUSE_MAX_MS;
	}
	if (spool_is_empty(in->spool))
		spool_unlock(in->spool);
	else
		drain_later(in, good ? 0 : in->drain_pause_ms);
}

/* A file that cannot be removed is written again, and then found a duplicate.
 */
static void
remove_names(struct spool *spool, char **names, size_t n)
{
	struct verr e = VERR_INIT;

	for (size_t i = 0; i < n; i++)
		if (spool_remove(spool, names[i], &e) == -1)
			log_error("%s", e.msg);
	metric_add(METRIC_CDR_DRAINED, (int64_t)n);
}

/*
 * What the database refuses for good is found by halving, and becomes a dead
 * letter, or, when it is refused as that too, moves to "bad/".
 */
static void
isolate(struct spool *spool, char **names, size_t n, const struct verr *why,
	size_t *max)
{
	struct verr e = VERR_INIT;

	if (why->kind != VERR_INPUT && why->kind != VERR_CONFLICT)
		return;
	*max = n / 2 ? n / 2 : 1;
	if (n != 1)
		return;
	log_error("'%s' of the spool is refused: %s", names[0], why->msg);
	if (cdrqueue_condemn(spool, names[0], why->msg, &e) == -1)
		log_error("%s", e.msg);
}

static void
on_drained(struct db_result *r, const struct verr *e, void *arg)
{
	struct intake *in = arg;

	if (r) {
		remove_names(in->spool, in->names, in->nnames);
		in->drain_max = DRAIN_MAX;
		log_info("%zu CDRs of the spool are in the queue", in->nnames);
	} else {
		if (!in->spooling)
			log_warning("the spool waits: %s", e->msg);
		isolate(in->spool, in->names, in->nnames, e, &in->drain_max);
	}
	drain_again(in, r != NULL);
}

static void
on_probed(struct db_result *r, const struct verr *e, void *arg)
{
	struct intake *in = arg;

	(void)e;
	drain_again(in, r != NULL);
}

static int
drain_batch(struct intake *in, struct verr *e)
{
	struct db_param params[CDRQUEUE_PARAMS];
	struct cdrqueue_batch b;
	int rc = -1;

	cdrqueue_init(&b);
	in->names = calloc(DRAIN_MAX, sizeof(*in->names));
	if (!in->names)
		verr_set(e, VERR_RETRY, "out of memory");
	else if (cdrqueue_load(in->spool, &b, in->drain_max, in->names,
			       &in->nnames, e) == 0)
		rc = 0;
	if (rc == 0 && in->nnames == 0)
		drain_again(in, true);
	else if (rc == 0 && (rc = cdrqueue_params(&b, params, e)) == 0)
		db_send(in->db, cdrqueue_sql, CDRQUEUE_PARAMS, params,
			conf_ms("database_timeout"), on_drained, in);
	cdrqueue_release(&b);
	return rc;
}

static void
on_drain_timer(void *arg)
{
	struct intake *in = arg;
	struct verr e = VERR_INIT;
	size_t count;
	int64_t bytes;
	int locked;

	in->draining = true;
	if (!db_is_up(in->db)) {
		/* Reading files for a database that is away is of no use. */
		db_send(in->db, "select 1", 0, NULL, 0, on_probed, in);
		return;
	}
	locked = spool_lock(in->spool, &e);
	if (locked == 1 && drain_batch(in, &e) == 0)
		return;
	/* When another one drains, look again whether it is done. */
	if (locked == 0)
		locked = spool_usage(in->spool, &count, &bytes, &e);
	if (locked == -1 || e.kind != VERR_NONE)
		log_error("cannot drain the spool: %s", e.msg);
	drain_again(in, false);
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

	if (!up || spool_is_empty(in->spool) || in->draining)
		return;
	in->drain_pause_ms = DRAIN_PAUSE_MS;
	loop_timer_set(in->loop, &in->drain_timer, 0);
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
	in->drain_timer =
		(struct loop_timer){ .fn = on_drain_timer, .arg = in };
	in->drain_pause_ms = DRAIN_PAUSE_MS;
	in->drain_max = DRAIN_MAX;
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
	if (!spool_is_empty(in->spool))
		drain_later(in, 0);
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
	loop_timer_clear(in->loop, &in->drain_timer);
	fail_all(&in->waiting, &e);
	free_names(in);
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

/* --- without a loop ---------------------------------------------------- */

/* One transaction's worth; `*n` is 0 when the spool is empty. */
static int
drain_some(struct spool *spool, struct db *db, size_t *max, size_t *n,
	   struct verr *e)
{
	char **names = calloc(*max, sizeof(*names));
	struct cdrqueue_batch b;
	int rc;

	if (!names)
		return verr_set(e, VERR_RETRY, "out of memory");
	cdrqueue_init(&b);
	rc = cdrqueue_load(spool, &b, *max, names, n, e);
	if (rc == 0 && *n && (rc = cdrqueue_write(db, &b, e)) == -1)
		isolate(spool, names, *n, e, max);
	if (rc == 0)
		remove_names(spool, names, *n);
	for (size_t i = 0; i < *n; i++)
		free(names[i]);
	free(names);
	cdrqueue_release(&b);
	return rc;
}

static int
drain_all(struct spool *spool, struct db *db, size_t *drained,
	  void (*progress)(size_t drained), struct verr *e)
{
	size_t max = DRAIN_MAX, n = 1;

	while (n) {
		struct verr why = VERR_INIT;

		if (drain_some(spool, db, &max, &n, &why) == 0) {
			*drained += n;
			if (n && progress)
				progress(*drained);
		} else if (why.kind != VERR_INPUT &&
			   why.kind != VERR_CONFLICT) {
			*e = why;
			return -1;
		}
	}
	return 0;
}

int
intake_drain(size_t *drained, void (*progress)(size_t drained), struct verr *e)
{
	struct spool *spool = intake_open_spool(e);
	struct db_options o = { .retry = DB_RETRY_INTERACTIVE };
	struct db *db = NULL;
	int rc = -1, locked;

	*drained = 0;
	if (!spool)
		return -1;
	locked = spool_lock(spool, e);
	if (locked == 0)
		verr_set(e, VERR_CONFLICT,
			 "another process drains the spool '%s'",
			 conf_str("cdr_spool_dir"));
	if (locked == 1 && spool_clean(spool, e) == 0) {
		cdrqueue_db_options(&o);
		db = db_new(&o, e);
		rc = db ? drain_all(spool, db, drained, progress, e) : -1;
	}
	db_free(db);
	spool_close(spool);
	return rc;
}
