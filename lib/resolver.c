#include "resolver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "cache.h"
#include "change.h"
#include "changes.h"
#include "conf.h"
#include "db.h"
#include "dbpool.h"
#include "depends.h"
#include "fsxml.h"
#include "hash.h"
#include "log.h"
#include "metrics.h"
#include "secret.h"
#include "service.h"
#include "snapshot.h"

#define PATIENCE_MS 250
#define ASK_BUCKETS 256
#define TRUSTED_MAX 200
#define HURRY_MS    20 /* less time than this is not worth a question */

struct resolver_wait {
	struct resolver_wait *next;
	resolver_fn fn;
	void *arg;
	bool is_first; /* whose question it is */
};

/* A question under way. */
struct ask {
	struct ask *next, **place;
	struct resolver *resolver;
	struct asked *asked;
	struct resolver_wait *first, **last;
	struct question question;
	struct buf key;
	uint64_t ticket;
	uint64_t hash;
	int64_t began_ms;
	struct loop_timer patience;
	struct db *db;  /* that was asked last */
	bool is_late;   /* its time of patience is over */
	bool again;     /* the writer's own connection, when another failed */
	bool elsewhere; /* not at the server that listens */
};

struct resolver {
	struct loop *loop;
	struct db *writer;   /* and listener */
	struct dbpool *pool; /* of connections to the same server */
	struct db *any;      /* not connected before it is needed */
	struct brake *brake;
	struct cache *cache;
	struct changes *changes;
	struct snapshot *snapshot;
	struct fs_settings settings;
	int64_t deadline_ms;
	int64_t ttl_ms[DEPENDS_TTL_COUNT];
	int64_t negative_ms;
	int64_t stale_ms;
	uint64_t first_generation;
	struct ask *asks[ASK_BUCKETS];
	struct buf key;
	struct buf document;
};

static void send(struct ask *ask);

/* --- lookups ---------------------------------------------------------- */

void
asked_release(struct asked *asked)
{
	if (!asked || --asked->users)
		return;
	lookup_release(&asked->lookup);
	free(asked);
}

/* Of the lookup in lower case: however the domain is spelled, it is one key. */
static bool
make_key(struct buf *key, const struct lookup *l, const struct question *q)
{
	struct lookup lower = *l;

	lower.domain = q->domain;
	buf_clear(key);
	answer_key(key, &lower, q);
	return !buf_failed(key);
}

/* --- from memory ------------------------------------------------------ */

/* Of one program they grow with each change, and with each start. */
static void
put_generation(struct resolver *v, uint64_t ticket)
{
	fsxml_generation(&v->document,
			 ticket ? v->first_generation + ticket : 0);
}

static void
give(struct resolver *v, const struct cache_entry *entry,
     struct resolved *answer)
{
	*answer = (struct resolved){ .found = cache_is_found(entry) };
	buf_clear(&v->document);
	if (answer->found) {
		cache_copy(&v->document, entry);
		put_generation(v, cache_entry_ticket(entry));
	}
	answer->body = v->document.data;
	answer->len = v->document.len;
}

static bool
may_be_stale(const struct resolver *v, enum cache_state state,
	     const struct cache_entry *entry)
{
	return (state == CACHE_OLD || state == CACHE_FRESH) &&
	       cache_is_found(entry) &&
	       loop_now_ms() - cache_confirmed_ms(entry) < v->stale_ms;
}

bool
resolver_known(struct resolver *v, struct lookup *l, struct resolved *answer)
{
	const struct cache_entry *entry;
	struct question q;

	answer_question(&q, l, &v->settings);
	if (!q.sql) {
		*answer = (struct resolved){ .found = false };
		return true;
	}
	if (!make_key(&v->key, l, &q) ||
	    cache_get(v->cache, v->key.data, v->key.len, loop_now_ms(),
		      &entry) != CACHE_FRESH)
		return false;
	give(v, entry, answer);
	if (buf_failed(&v->document))
		return false;
	metric_add(answer->found ? METRIC_CACHE_HIT : METRIC_CACHE_NEGATIVE, 1);
	return true;
}

/* --- waiting ---------------------------------------------------------- */

void
resolver_forget(struct resolver_wait *wait)
{
	wait->fn = NULL;
}

/* Those who wait, in the order in which they came. */
static void
tell(struct ask *ask, const struct resolved *answer)
{
	while (ask->first) {
		struct resolver_wait *wait = ask->first;
		resolver_fn fn = wait->fn;
		void *arg = wait->arg;

		metric_add(answer->e        ? METRIC_CACHE_UNKNOWN
			   : answer->stale  ? METRIC_CACHE_STALE
			   : wait->is_first ? METRIC_CACHE_MISS
					    : METRIC_CACHE_COALESCED,
			   1);
		ask->first = wait->next;
		if (!ask->first)
			ask->last = &ask->first;
		free(wait);
		if (fn)
			fn(answer, arg);
	}
}

/* False when there is nothing that could be told. */
static bool
tell_stale(struct ask *ask)
{
	struct resolver *v = ask->resolver;
	const struct cache_entry *entry;
	struct resolved answer;
	enum cache_state state;

	state = cache_get(v->cache, ask->key.data, ask->key.len, loop_now_ms(),
			  &entry);
	if (state == CACHE_ABSENT || !may_be_stale(v, state, entry))
		return false;
	give(v, entry, &answer);
	answer.stale = true;
	if (buf_failed(&v->document))
		return false;
	tell(ask, &answer);
	return true;
}

static void
on_patience(void *arg)
{
	struct ask *ask = arg;

	ask->is_late = true;
	tell_stale(ask);
}

/* --- questions -------------------------------------------------------- */

static void
ask_free(struct ask *ask)
{
	loop_timer_clear(ask->resolver->loop, &ask->patience);
	*ask->place = ask->next;
	if (ask->next)
		ask->next->place = ask->place;
	asked_release(ask->asked);
	buf_release(&ask->key);
	free(ask);
}

static void
keep(struct ask *ask, const struct resolved *answer,
     const struct db_result *result, bool secret)
{
	struct resolver *v = ask->resolver;
	const struct lookup *l = &ask->asked->lookup;
	struct cache_item item;

	depends_item(&item, l, &ask->question);
	depends_result(&item, l, result);
	item.key = ask->key.data;
	item.key_len = ask->key.len;
	item.body = answer->found ? answer->body : NULL;
	item.len = answer->found ? answer->len : 0;
	item.secret = secret;
	item.ttl_ms =
		answer->found ? v->ttl_ms[depends_ttl(l)] : v->negative_ms;
	item.confirmed_ms = loop_now_ms();
	/* A standby is believed only while nobody tells changes. */
	cache_put(v->cache,
		  ask->elsewhere && db_is_up(v->writer) ? 0 : ask->ticket,
		  &item);
}

/* The document is made of the domain in lower case, for all who ask. */
static int
build(struct ask *ask, const struct db_result *result, struct resolved *answer,
      struct verr *e)
{
	struct resolver *v = ask->resolver;
	struct lookup l = ask->asked->lookup;
	unsigned long before = secret_opened();
	int found;

	l.domain = ask->question.domain;
	buf_clear(&v->document);
	found = answer_document(&v->document, &l, result, &v->settings, e);
	if (found == -1)
		return -1;
	*answer = (struct resolved){
		.found = found == 1,
		.body = v->document.data,
		.len = v->document.len,
	};
	keep(ask, answer, result, secret_opened() != before);
	if (answer->found)
		put_generation(v, ask->ticket);
	if (buf_failed(&v->document))
		return verr_set(e, VERR_RETRY, "out of memory for an answer");
	answer->body = v->document.data;
	answer->len = v->document.len;
	return 0;
}

static int64_t
time_left(const struct ask *ask)
{
	return ask->began_ms + ask->resolver->deadline_ms - loop_now_ms();
}

static void
failed(struct ask *ask, const struct verr *e)
{
	struct resolved answer = { .e = e };

	if (e->kind == VERR_RETRY && !ask->elsewhere &&
	    time_left(ask) > HURRY_MS) {
		ask->again = ask->db != ask->resolver->writer;
		ask->elsewhere = !ask->again;
		send(ask);
		return;
	}
	if (e->kind != VERR_RETRY)
		log_error("cannot answer a lookup: %s", e->msg);
	if (!tell_stale(ask))
		tell(ask, &answer);
	ask_free(ask);
}

static void
on_result(struct db_result *result, const struct verr *e, void *arg)
{
	struct ask *ask = arg;
	struct verr trouble = VERR_INIT;
	struct resolved answer;

	if (e->kind != VERR_NONE) {
		failed(ask, e);
	} else if (build(ask, result, &answer, &trouble) == -1) {
		ask->elsewhere = true;
		failed(ask, &trouble);
	} else {
		tell(ask, &answer);
		ask_free(ask);
	}
}

static void
send(struct ask *ask)
{
	struct resolver *v = ask->resolver;
	const struct question *q = &ask->question;

	ask->ticket = cache_ticket(v->cache);
	metric_add(METRIC_CACHE_QUESTIONS, 1);
	ask->db = ask->elsewhere ? v->any
		  : ask->again   ? v->writer
				 : dbpool_choose(v->pool);
	db_send(ask->db, q->sql, q->nparams, q->params, time_left(ask),
		on_result, ask);
}

static struct ask *
ask_new(struct resolver *v, struct asked *asked)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->resolver = v;
	ask->asked = asked;
	ask->last = &ask->first;
	ask->key = BUF_INIT;
	ask->began_ms = loop_now_ms();
	ask->patience = (struct loop_timer){ .fn = on_patience, .arg = ask };
	answer_question(&ask->question, &asked->lookup, &v->settings);
	if (!make_key(&ask->key, &asked->lookup, &ask->question)) {
		buf_release(&ask->key);
		free(ask);
		return NULL;
	}
	asked->users++;
	ask->hash = cache_hash(v->cache, ask->key.data, ask->key.len);
	ask->place = &v->asks[ask->hash % ASK_BUCKETS];
	ask->next = *ask->place;
	if (ask->next)
		ask->next->place = &ask->next;
	*ask->place = ask;
	loop_timer_set(v->loop, &ask->patience, PATIENCE_MS);
	return ask;
}

/*
 * A question for this key whose answer will be current for who comes now.
 * Whoever came before a change may have what was true before it.
 */
static struct ask *
ask_under_way(struct resolver *v, struct lookup *l)
{
	struct question q;
	struct cache_item item;
	struct ask *ask;
	uint64_t hash;

	answer_question(&q, l, &v->settings);
	if (!make_key(&v->key, l, &q))
		return NULL;
	depends_item(&item, l, &q);
	hash = cache_hash(v->cache, v->key.data, v->key.len);
	for (ask = v->asks[hash % ASK_BUCKETS]; ask; ask = ask->next)
		if (ask->hash == hash && ask->key.len == v->key.len &&
		    memcmp(ask->key.data, v->key.data, v->key.len) == 0 &&
		    cache_is_current(v->cache, ask->ticket, &item))
			return ask;
	return NULL;
}

struct resolver_wait *
resolver_ask(struct resolver *v, struct asked *asked, resolver_fn fn, void *arg)
{
	struct resolver_wait *wait = calloc(1, sizeof(*wait));
	struct ask *ask = ask_under_way(v, &asked->lookup);
	bool is_new = !ask;

	if (wait && is_new)
		ask = ask_new(v, asked);
	if (!wait || !ask) {
		free(wait);
		return NULL;
	}
	wait->fn = fn;
	wait->arg = arg;
	wait->is_first = is_new;
	*ask->last = wait;
	ask->last = &wait->next;
	if (is_new)
		send(ask);
	else if (ask->is_late)
		loop_timer_set(v->loop, &ask->patience, 0);
	return wait;
}

/* --- the database ----------------------------------------------------- */

static void
resync(struct resolver *v)
{
	metric_add(METRIC_CACHE_RESYNCS, 1);
	cache_changed(v->cache, NULL, NULL);
	/* Under way there it has only what was sent after LISTEN. */
	for (size_t i = 0; i < ASK_BUCKETS; i++)
		for (struct ask *ask = v->asks[i]; ask; ask = ask->next)
			if (ask->db == v->writer)
				ask->ticket = cache_ticket(v->cache);
}

static void
on_trusted(struct db_result *result, const struct verr *e, void *arg)
{
	const char *addresses[TRUSTED_MAX];
	struct resolver *v = arg;
	size_t count = 0;

	if (e->kind != VERR_NONE) {
		log_warning("the brakes do not know the trusted addresses: %s",
			    e->msg);
		return;
	}
	for (; count < (size_t)db_rows(result) && count < TRUSTED_MAX; count++)
		addresses[count] = db_value(result, (int)count, 0);
	brake_trust(v->brake, addresses, count);
}

static void
ask_for_trusted(struct resolver *v)
{
	db_send(v->writer,
		"select address::text from voip.trusted_addresses "
		"where active order by address limit 200",
		0, NULL, 0, on_trusted, v);
}

static size_t
pool_size(void)
{
	return service_is_single() ? 1 : (size_t)conf_int("dirxml_connections");
}

static void
on_writer(bool up, void *arg)
{
	struct resolver *v = arg;

	metric_set(METRIC_CACHE_LISTENING, up);
	if (up) {
		log_info("the database tells its changes");
		resync(v);
		dbpool_renew(v->pool, pool_size());
		ask_for_trusted(v);
	} else {
		log_warning("the database does not tell its changes: an "
			    "answer may be as old as its time to live");
	}
}

static void
on_notify(const char *channel, const char *payload, void *arg)
{
	struct resolver *v = arg;
	struct change change;
	struct verr e = VERR_INIT;

	(void)channel;
	metric_add(METRIC_CACHE_CHANGES, 1);
	if (change_from_payload(&change, payload, strlen(payload), &e) == -1) {
		log_warning("a change that cannot be read makes every answer "
			    "old: %s",
			    e.msg);
		change.op = CHANGE_RESYNC;
	}
	if (change.op == CHANGE_RESYNC ||
	    strcmp(change.table, "trusted_addresses") == 0)
		ask_for_trusted(v);
	changes_note(v->changes, &change);
}

static void
read_settings(struct resolver *v)
{
	v->deadline_ms = conf_ms("dirxml_deadline");
	v->ttl_ms[DEPENDS_TTL_DIRECTORY] = conf_ms("dirxml_directory_ttl");
	v->ttl_ms[DEPENDS_TTL_EXTENSION] = conf_ms("dirxml_extension_ttl");
	v->negative_ms = conf_ms("dirxml_negative_ttl");
	v->stale_ms = conf_ms("dirxml_stale_for");
}

struct resolver *
resolver_new(struct loop *loop, struct brake *brake, struct verr *e)
{
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_NEVER };
	struct resolver *v = calloc(1, sizeof(*v));

	if (!v) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	v->loop = loop;
	v->brake = brake;
	v->key = v->document = BUF_INIT;
	v->first_generation = (uint64_t)time(NULL) * 1000000;
	read_settings(v);
	if (fs_settings_read(&v->settings, e) == -1 ||
	    !(v->cache =
		      cache_new((size_t)conf_bytes("dirxml_cache_size"), e)) ||
	    !(v->changes = changes_new(loop, v->cache, e)) ||
	    !(v->snapshot = snapshot_new(loop, v->cache, e)) ||
	    !(v->any = db_new(&options, e)))
		goto fail;
	options.session_attrs = "read-write";
	v->writer = db_new(&options, e);
	if (!v->writer ||
	    !(v->pool = dbpool_new(loop, v->writer, &options, pool_size(), e)))
		goto fail;
	db_attach(v->any, loop);
	db_attach(v->writer, loop);
	db_on_state(v->writer, on_writer, v);
	/* For one connection it is not worth while. */
	if (!service_is_single()) {
		db_listen(v->writer, "voip_changed", on_notify, v);
		snapshot_start(v->snapshot);
	}
	return v;

fail:
	resolver_free(v);
	return NULL;
}

void
resolver_free(struct resolver *v)
{
	if (!v)
		return;
	/* Nothing is asked elsewhere at the end. */
	for (size_t i = 0; i < ASK_BUCKETS; i++)
		for (struct ask *ask = v->asks[i]; ask; ask = ask->next)
			ask->elsewhere = true;
	if (v->writer)
		db_on_state(v->writer, NULL, NULL);
	dbpool_free(v->pool);
	db_free(v->writer);
	db_free(v->any);
	changes_free(v->changes);
	snapshot_free(v->snapshot);
	cache_free(v->cache);
	buf_release(&v->key);
	if (v->document.len)
		hash_wipe(v->document.data, v->document.len);
	buf_release(&v->document);
	free(v);
}

void
resolver_reload(struct resolver *v)
{
	struct fs_settings settings;
	struct verr e = VERR_INIT;

	if (fs_settings_read(&settings, &e) == -1)
		log_error("%s: the former value stays", e.msg);
	else
		v->settings = settings;
	read_settings(v);
	snapshot_reload(v->snapshot);
	cache_set_limit(v->cache, (size_t)conf_bytes("dirxml_cache_size"));
	/* The documents were made of the former settings. */
	cache_changed(v->cache, NULL, NULL);
	db_reload(v->writer);
	dbpool_renew(v->pool, pool_size());
	if (db_is_up(v->any))
		db_reload(v->any);
}

bool
resolver_are_current(const struct resolver *v)
{
	return db_is_up(v->writer) || db_is_up(v->any);
}

bool
resolver_are_stale(const struct resolver *v)
{
	struct cache_stats stats;

	cache_stats(v->cache, &stats);
	return stats.entries > stats.negative;
}

void
resolver_measure(const struct resolver *v)
{
	struct cache_stats stats;

	cache_stats(v->cache, &stats);
	metric_set(METRIC_CACHE_ENTRIES, (int64_t)stats.entries);
	metric_set(METRIC_CACHE_ENTRIES_NEGATIVE, (int64_t)stats.negative);
	metric_set(METRIC_CACHE_BYTES, (int64_t)stats.bytes);
	metric_set(METRIC_SNAPSHOT_AGE, snapshot_age_seconds(v->snapshot));
	metric_set(METRIC_CACHE_EVICTIONS, (int64_t)stats.evictions);
}
