#include "dirxml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "conf.h"
#include "fsxml.h"
#include "log.h"
#include "lookup.h"
#include "metrics.h"

struct dirxml {
	struct db *db;
	struct fs_settings settings;
	int64_t deadline_ms;
};

/*
 * A request that waits for the database.  Both the request and the statement
 * point here, and either may end first: the last one frees it.
 */
struct waiting {
	struct dirxml *dirxml;
	struct http_request *request; /* NULL: the client went away */
	bool asked;                   /* the database still has to answer */
	struct lookup lookup;
};

static void
log_lookup(struct http_request *r, const struct lookup *l,
	   enum lookup_result result)
{
	char ms[24];

	r->logged = true;
	if (!log_wants(LOG_LEVEL_DEBUG))
		return;
	snprintf(ms, sizeof(ms), "%lld",
		 (long long)(loop_now_ms() - r->received_ms));
	log_event(LOG_LEVEL_DEBUG, "lookup", "section", l->section, "action",
		  l->action, "domain", l->domain, "user", l->user, "group",
		  *l->group ? l->group : NULL, "result",
		  lookup_result_word(result), "reason", l->refused, "peer",
		  r->peer, "ms", ms, NULL);
}

/* After this the request may be over, and `l` with it. */
static void
reply(struct http_request *r, const struct lookup *l, enum lookup_result result,
      const void *body, size_t len)
{
	lookup_count(l, result);
	log_lookup(r, l, result);
	http_reply(r, 200, FSXML_TYPE, body, len);
}

static void
reply_not_found(struct http_request *r, const struct lookup *l)
{
	reply(r, l, l->refused ? LOOKUP_REFUSED : LOOKUP_NOT_FOUND,
	      fsxml_not_found, fsxml_not_found_len);
}

/* Whatever the reason, FreeSWITCH must not take it for "no such user". */
static void
reply_unavailable(struct http_request *r, const struct lookup *l,
		  const struct verr *e)
{
	struct verr unavailable = *e;

	if (e->kind != VERR_RETRY)
		log_error("cannot answer a lookup: %s", e->msg);
	unavailable.kind = VERR_RETRY;
	lookup_count(l, LOOKUP_UNAVAILABLE);
	log_lookup(r, l, LOOKUP_UNAVAILABLE);
	http_reply_error(r, &unavailable);
}

static void
waiting_free(struct waiting *w)
{
	lookup_release(&w->lookup);
	free(w);
}

static void
request_is_over(struct http_request *r)
{
	struct waiting *w = r->data;

	w->request = NULL;
	if (!w->asked)
		waiting_free(w);
}

static void
answer(struct waiting *w, const struct db_result *result, const struct verr *e)
{
	struct verr trouble = VERR_INIT;
	struct buf out = BUF_INIT;
	int found;

	if (e->kind != VERR_NONE) {
		reply_unavailable(w->request, &w->lookup, e);
		return;
	}
	found = answer_document(&out, &w->lookup, result, &w->dirxml->settings,
				&trouble);
	if (found == -1)
		reply_unavailable(w->request, &w->lookup, &trouble);
	else if (found)
		reply(w->request, &w->lookup, LOOKUP_FOUND, out.data, out.len);
	else
		reply_not_found(w->request, &w->lookup);
	buf_release(&out);
}

static void
database_answered(struct db_result *result, const struct verr *e, void *arg)
{
	struct waiting *w = arg;

	w->asked = false;
	if (w->request)
		answer(w, result, e);
	else
		waiting_free(w);
}

static void
serve(struct http_request *r, struct dirxml *d, const char *section)
{
	bool get = strcmp(r->method, "GET") == 0;
	struct question q;
	struct verr e = VERR_INIT;
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		verr_set(&e, VERR_RETRY, "out of memory for a lookup");
		http_reply_error(r, &e);
		return;
	}
	w->dirxml = d;
	w->request = r;
	r->data = w;
	r->release = request_is_over;
	if (lookup_parse(&w->lookup, section, get ? r->query : r->body.data,
			 get ? strlen(r->query) : r->body.len, &e) == -1) {
		http_reply_error(r, &e);
		return;
	}
	answer_question(&q, &w->lookup, &d->settings);
	if (!q.sql) {
		reply_not_found(r, &w->lookup);
		return;
	}
	w->asked = true;
	db_send(d->db, q.sql, q.nparams, q.params, d->deadline_ms,
		database_answered, w);
}

static void
handle_any(struct http_request *r, void *arg)
{
	serve(r, arg, NULL);
}

static void
handle_directory(struct http_request *r, void *arg)
{
	serve(r, arg, "directory");
}

static void
handle_configuration(struct http_request *r, void *arg)
{
	serve(r, arg, "configuration");
}

static void
handle_dialplan(struct http_request *r, void *arg)
{
	serve(r, arg, "dialplan");
}

static void
handle_metrics(struct http_request *r, void *arg)
{
	(void)arg;
	http_reply_metrics(r, METRIC_GROUP_HTTP | METRIC_GROUP_DB |
				      METRIC_GROUP_DIRXML);
}

/* A lookup that asks the database for nothing. */
static void
health_answered(struct db_result *result, const struct verr *e, void *arg)
{
	static const char body[] = "{\"status\":\"ok\"}\n";
	struct waiting *w = arg;
	struct http_request *r = w->request;

	(void)result;
	w->asked = false;
	if (!r)
		waiting_free(w);
	else if (e->kind != VERR_NONE)
		http_reply_error(r, e);
	else
		http_reply(r, 200, "application/json", body, sizeof(body) - 1);
}

static void
handle_health(struct http_request *r, void *arg)
{
	struct dirxml *d = arg;
	struct verr e = VERR_INIT;
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		verr_set(&e, VERR_RETRY, "out of memory");
		http_reply_error(r, &e);
		return;
	}
	w->request = r;
	w->asked = true;
	r->data = w;
	r->release = request_is_over;
	db_send(d->db, "select 1", 0, NULL, d->deadline_ms, health_answered, w);
}

const struct http_route dirxml_routes[] = {
	{ "*", "/fs/xml", LOOKUP_BODY_MAX, false, handle_any },
	{ "*", "/fs/xml/directory", LOOKUP_BODY_MAX, false, handle_directory },
	{ "*", "/fs/xml/configuration", LOOKUP_BODY_MAX, false,
	  handle_configuration },
	{ "*", "/fs/xml/dialplan", LOOKUP_BODY_MAX, false, handle_dialplan },
	{ "GET", "/health", 0, true, handle_health },
	{ "GET", "/metrics", 0, true, handle_metrics },
	{ .method = NULL },
};

struct dirxml *
dirxml_new(struct loop *loop, struct verr *e)
{
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_NEVER };
	struct dirxml *d = calloc(1, sizeof(*d));

	if (!d) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	if (fs_settings_read(&d->settings, e) == -1 ||
	    !(d->db = db_new(&options, e))) {
		free(d);
		return NULL;
	}
	d->deadline_ms = conf_ms("dirxml_deadline");
	db_attach(d->db, loop);
	return d;
}

void
dirxml_free(struct dirxml *d)
{
	if (!d)
		return;
	db_free(d->db);
	free(d);
}

void
dirxml_reload(struct dirxml *d)
{
	struct fs_settings settings;
	struct verr e = VERR_INIT;

	if (fs_settings_read(&settings, &e) == -1)
		log_error("%s: the former value stays", e.msg);
	else
		d->settings = settings;
	d->deadline_ms = conf_ms("dirxml_deadline");
	db_reload(d->db);
}

int
dirxml_ask(struct buf *out, const char *form, size_t len, struct verr *e)
{
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_INTERACTIVE };
	struct fs_settings settings;
	struct question q;
	struct db_result *result = NULL;
	struct lookup l;
	struct db *db = NULL;
	int rc = -1;

	if (lookup_parse(&l, NULL, form, len, e) == -1 ||
	    fs_settings_read(&settings, e) == -1)
		goto out;
	answer_question(&q, &l, &settings);
	if (q.sql) {
		db = db_new(&options, e);
		if (!db ||
		    db_query(db, &result, q.sql, q.nparams, q.params, e) == -1)
			goto out;
	}
	rc = answer_document(out, &l, result, &settings, e);
	if (rc == 0)
		buf_add(out, fsxml_not_found, fsxml_not_found_len);
out:
	db_result_free(result);
	db_free(db);
	lookup_release(&l);
	return rc;
}
