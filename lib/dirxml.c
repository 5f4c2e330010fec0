#include "dirxml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answer.h"
#include "brake.h"
#include "fsxml.h"
#include "log.h"
#include "lookup.h"
#include "metrics.h"
#include "resolver.h"

struct dirxml {
	struct resolver *resolver;
	struct brake *brake;
	struct buf document; /* with the domain as it was asked */
};

/* A request that waits for the database. */
struct waiting {
	struct dirxml *dirxml;
	struct http_request *request;
	struct asked *asked;
	struct resolver_wait *wait;
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

static void
count_lookup(const struct http_request *r, const struct lookup *l,
	     enum lookup_result result)
{
	static const int bounds_ms[] = { 1, 5, 20, 100, 500, 2000 };
	int64_t ms = loop_now_ms() - r->received_ms;

	lookup_count(l, result);
	for (unsigned i = 0; i < sizeof(bounds_ms) / sizeof(bounds_ms[0]); i++)
		if (ms <= bounds_ms[i])
			metric_add(METRIC_LOOKUP_TIME_1MS + i, 1);
	metric_add(METRIC_LOOKUP_TIME_ANY, 1);
	metric_add(METRIC_LOOKUP_TIME_SUM, ms);
	metric_add(METRIC_LOOKUP_TIME_COUNT, 1);
}

/* After this the request may be over, and `l` with it. */
static void
reply(struct http_request *r, const struct lookup *l, enum lookup_result result,
      const void *body, size_t len)
{
	count_lookup(r, l, result);
	log_lookup(r, l, result);
	http_reply(r, 200, FSXML_TYPE, body, len);
}

static void
reply_not_found(struct http_request *r, const struct lookup *l,
		const struct resolved *answer)
{
	reply(r, l, l->refused ? LOOKUP_REFUSED : LOOKUP_NOT_FOUND,
	      answer->body, answer->len);
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
	count_lookup(r, l, LOOKUP_UNAVAILABLE);
	log_lookup(r, l, LOOKUP_UNAVAILABLE);
	http_reply_error(r, &unavailable);
}

static void
waiting_free(struct waiting *w)
{
	asked_release(w->asked);
	free(w);
}

static void
request_is_over(struct http_request *r)
{
	struct waiting *w = r->data;

	if (w->wait)
		resolver_forget(w->wait);
	waiting_free(w);
}

static bool
has_upper_case(const char *s)
{
	while (*s && !(*s >= 'A' && *s <= 'Z'))
		s++;
	return *s;
}

/*
 * FreeSWITCH looks for the domain that it asked for, and answers are made of
 * the one in lower case: of the same length, at the first name of a domain.
 */
static bool
spell(struct buf *out, const struct resolved *answer, const char *asked)
{
	static const char before[] = "<domain name=\"";
	size_t len = strlen(asked);
	char *place;

	if (!has_upper_case(asked))
		return false;
	buf_clear(out);
	buf_add(out, answer->body, answer->len);
	place = buf_failed(out) ? NULL : strstr(out->data, before);
	if (!place)
		return false;
	place += strlen(before);
	if (strncasecmp(place, asked, len) == 0 && place[len] == '"')
		memcpy(place, asked, len);
	return true;
}

static bool
is_login(const struct lookup *l)
{
	return strcmp(l->action, "sip_auth") == 0;
}

/* mod_sofia writes `ip` itself, after what the phone sent, and encodes it. */
static struct brake_login
login_of(const struct lookup *l)
{
	const struct form_pair *ip = form_last(&l->form, "ip");

	return (struct brake_login){ .address = ip ? ip->value : NULL,
				     .user = l->user,
				     .domain = l->domain };
}

static bool
is_braked(struct dirxml *d, struct lookup *l)
{
	struct brake_login login;
	const char *why;

	if (!is_login(l))
		return false;
	login = login_of(l);
	why = brake_try(d->brake, &login, loop_now_ms());
	if (why)
		l->refused = why;
	return why;
}

static void
note_unknown(struct dirxml *d, const struct lookup *l)
{
	struct brake_login login;

	if (!is_login(l))
		return;
	login = login_of(l);
	brake_unknown(d->brake, &login, loop_now_ms());
}

static void
give(struct dirxml *d, struct http_request *r, const struct lookup *l,
     const struct resolved *answer)
{
	if (!answer->e && !answer->found)
		note_unknown(d, l);
	if (answer->e)
		reply_unavailable(r, l, answer->e);
	else if (!answer->found)
		reply_not_found(r, l, answer);
	else if (spell(&d->document, answer, l->domain))
		reply(r, l, LOOKUP_FOUND, d->document.data, d->document.len);
	else
		reply(r, l, LOOKUP_FOUND, answer->body, answer->len);
}

static void
answered(const struct resolved *answer, void *arg)
{
	struct waiting *w = arg;
	struct asked *asked = w->asked;

	w->wait = NULL;
	asked->users++; /* the request ends within, and `w` with it */
	give(w->dirxml, w->request, &asked->lookup, answer);
	asked_release(asked);
}

/* `l` is moved into what waits, or released. */
static void
ask(struct dirxml *d, struct http_request *r, struct lookup *l)
{
	struct waiting *w = calloc(1, sizeof(*w));
	struct verr e = VERR_INIT;

	if (w)
		w->asked = calloc(1, sizeof(*w->asked));
	if (!w || !w->asked) {
		free(w);
		verr_set(&e, VERR_RETRY, "out of memory for a lookup");
		reply_unavailable(r, l, &e);
		lookup_release(l);
		return;
	}
	w->dirxml = d;
	w->request = r;
	w->asked->users = 1;
	w->asked->lookup = *l;
	r->data = w;
	r->release = request_is_over;
	w->wait = resolver_ask(d->resolver, w->asked, answered, w);
	if (!w->wait) {
		verr_set(&e, VERR_RETRY, "out of memory for a lookup");
		reply_unavailable(r, &w->asked->lookup, &e);
	}
}

static void
serve(struct http_request *r, struct dirxml *d, const char *section)
{
	bool get = strcmp(r->method, "GET") == 0;
	struct resolved answer;
	struct verr e = VERR_INIT;
	struct lookup l;

	if (lookup_parse(&l, section, get ? r->query : r->body.data,
			 get ? strlen(r->query) : r->body.len, &e) == -1) {
		http_reply_error(r, &e);
	} else if (is_braked(d, &l)) {
		resolver_not_found(d->resolver, &answer);
		reply_not_found(r, &l, &answer);
	} else if (resolver_known(d->resolver, &l, &answer)) {
		give(d, r, &l, &answer);
	} else {
		ask(d, r, &l);
		return;
	}
	lookup_release(&l);
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
	struct dirxml *d = arg;

	resolver_measure(d->resolver);
	http_reply_metrics(r, METRIC_GROUP_HTTP | METRIC_GROUP_DB |
				      METRIC_GROUP_DIRXML);
}

static void
handle_health(struct http_request *r, void *arg)
{
	static const char ok[] = "{\"status\":\"ok\"}\n";
	static const char degraded[] =
		"{\"status\":\"degraded\","
		"\"message\":\"the database is away: known names are answered "
		"as they were\"}\n";
	struct dirxml *d = arg;
	struct verr e = VERR_INIT;

	if (resolver_are_current(d->resolver)) {
		http_reply(r, 200, "application/json", ok, sizeof(ok) - 1);
	} else if (resolver_are_stale(d->resolver)) {
		http_reply(r, 200, "application/json", degraded,
			   sizeof(degraded) - 1);
	} else {
		verr_set(&e, VERR_RETRY, "the database is away");
		http_reply_error(r, &e);
	}
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
	struct dirxml *d = calloc(1, sizeof(*d));

	if (!d) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	d->document = BUF_INIT;
	d->brake = brake_new(e);
	d->resolver = d->brake ? resolver_new(loop, d->brake, e) : NULL;
	if (!d->resolver) {
		brake_free(d->brake);
		free(d);
		return NULL;
	}
	return d;
}

void
dirxml_free(struct dirxml *d)
{
	if (!d)
		return;
	resolver_free(d->resolver);
	brake_free(d->brake);
	buf_release(&d->document);
	free(d);
}

void
dirxml_reload(struct dirxml *d)
{
	resolver_reload(d->resolver);
	brake_reload(d->brake);
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
