#include "resolver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "change.h"
#include "conf.h"
#include "fsxml.h"
#include "hash.h"
#include "log.h"
#include "metrics.h"
#include "resolver_private.h"
#include "service.h"

#define TRUSTED_MAX 200

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
bool
resolver_key(struct buf *key, const struct lookup *l, const struct question *q)
{
	struct lookup lower = *l;

	lower.domain = q->domain;
	buf_clear(key);
	answer_key(key, &lower, q);
	return !buf_failed(key);
}

/* --- from memory ------------------------------------------------------ */

void
resolver_finish(struct resolver *v, bool found, uint64_t ticket,
		struct resolved *answer)
{
	if (!found) {
		buf_clear(&v->document);
		buf_add(&v->document, fsxml_not_found, fsxml_not_found_len);
	}
	fsxml_generation(&v->document,
			 ticket ? v->first_generation + ticket : 0);
	*answer = (struct resolved){
		.found = found,
		.body = v->document.data,
		.len = v->document.len,
	};
}

void
resolver_not_found(struct resolver *v, struct resolved *answer)
{
	resolver_finish(v, false, cache_ticket(v->cache), answer);
	if (buf_failed(&v->document)) {
		answer->body = fsxml_not_found;
		answer->len = fsxml_not_found_len;
	}
}

void
resolver_give(struct resolver *v, const struct cache_entry *entry,
	      struct resolved *answer)
{
	bool found = cache_is_found(entry);

	buf_clear(&v->document);
	if (found)
		cache_copy(&v->document, entry);
	resolver_finish(v, found, cache_entry_ticket(entry), answer);
}

bool
resolver_may_be_stale(const struct resolver *v, enum cache_state state,
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
		resolver_not_found(v, answer);
		return true;
	}
	if (!resolver_key(&v->key, l, &q) ||
	    cache_get(v->cache, v->key.data, v->key.len, loop_now_ms(),
		      &entry) != CACHE_FRESH)
		return false;
	resolver_give(v, entry, answer);
	if (buf_failed(&v->document))
		return false;
	metric_add(answer->found ? METRIC_CACHE_HIT : METRIC_CACHE_NEGATIVE, 1);
	return true;
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
	/* A plan for any key: they find their rows by an index. */
	static const char *const session[] = {
		"set plan_cache_mode = force_generic_plan", NULL
	};
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_NEVER,
				      .session_sql = session };
	struct resolver *v = calloc(1, sizeof(*v));

	if (!v) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	v->loop = loop;
	v->brake = brake;
	v->key = v->document = BUF_INIT;
	many_start(v);
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
	many_stop(v);
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
