/* A question to the database, and those who wait for its answer. */
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics.h"
#include "resolver_private.h"
#include "secret.h"

#define PATIENCE_MS 250

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
	if (state == CACHE_ABSENT || !resolver_may_be_stale(v, state, entry))
		return false;
	resolver_give(v, entry, &answer);
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
	resolver_finish(v, answer->found, ask->ticket, answer);
	if (buf_failed(&v->document))
		return verr_set(e, VERR_RETRY, "out of memory for an answer");
	return 0;
}

int64_t
ask_time_left(const struct ask *ask)
{
	return ask->began_ms + ask->resolver->deadline_ms - loop_now_ms();
}

void
ask_failed(struct ask *ask, const struct verr *e)
{
	struct resolved answer = { .e = e };

	if (e->kind == VERR_RETRY && !ask->elsewhere &&
	    ask_time_left(ask) > HURRY_MS) {
		ask->again = ask->db != ask->resolver->writer;
		ask->elsewhere = !ask->again;
		ask_send(ask);
		return;
	}
	if (e->kind != VERR_RETRY)
		log_error("cannot answer a lookup: %s", e->msg);
	if (!tell_stale(ask))
		tell(ask, &answer);
	ask_free(ask);
}

void
ask_answered(struct ask *ask, const struct db_result *result)
{
	struct verr trouble = VERR_INIT;
	struct resolved answer;

	if (build(ask, result, &answer, &trouble) == -1) {
		ask->elsewhere = true;
		ask_failed(ask, &trouble);
	} else {
		tell(ask, &answer);
		ask_free(ask);
	}
}

static void
on_result(struct db_result *result, const struct verr *e, void *arg)
{
	if (e->kind != VERR_NONE)
		ask_failed(arg, e);
	else
		ask_answered(arg, result);
}

void
ask_note_sent(struct ask *ask, struct db *db)
{
	ask->ticket = cache_ticket(ask->resolver->cache);
	ask->db = db;
	metric_add(METRIC_CACHE_QUESTIONS, 1);
}

void
ask_send(struct ask *ask)
{
	struct resolver *v = ask->resolver;
	const struct question *q = &ask->question;
	bool is_first = !ask->elsewhere && !ask->again && !ask->alone;

	if (is_first && q->sql_many && db_is_up(v->writer)) {
		many_add(ask);
		return;
	}
	ask_note_sent(ask, ask->elsewhere ? v->any
			   : ask->again   ? v->writer
					  : dbpool_choose(v->pool));
	db_send(ask->db, q->sql, q->nparams, q->params, ask_time_left(ask),
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
	if (!resolver_key(&ask->key, &asked->lookup, &ask->question)) {
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
	if (!resolver_key(&v->key, l, &q))
		return NULL;
	depends_item(&item, l, &q);
	hash = cache_hash(v->cache, v->key.data, v->key.len);
	for (ask = v->asks[hash % ASK_BUCKETS]; ask; ask = ask->next)
		if (ask->hash == hash && ask->key.len == v->key.len &&
		    memcmp(ask->key.data, v->key.data, v->key.len) == 0 &&
		    (ask->queued ||
		     cache_is_current(v->cache, ask->ticket, &item)))
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
		ask_send(ask);
	else if (ask->is_late)
		loop_timer_set(v->loop, &ask->patience, 0);
	return wait;
}
