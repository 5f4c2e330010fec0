#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hafollow_private.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hapeer.h"
#include "log.h"

#define REFUSAL_MS INT64_C(1000)

void
question_answer(struct question *q, int status, const char *body)
{
	struct buf b = BUF_INIT;
	struct verr e = VERR_INIT;

	if (peer_write(&b, q->follow->key, PEER_ANSWER, q->name, ha_real_ms(),
		       q->nonce, body, &e) == -1)
		http_reply(q->request, 503, NULL, "", 0);
	else
		http_reply(q->request, status, "text/plain", b.data, b.len);
	buf_release(&b);
	q->request = NULL;
}

/* In the worker: what are we now? */
static int
look(struct buf *out, void *arg)
{
	struct ha_state s = { 0 };
	struct verr e = VERR_INIT;

	(void)arg;
	if (ha_kept_load(&s.kept, &e) == -1 ||
	    ha_state_look(&s, conf_ms("peer_timeout") / 2, &e) == -1) {
		buf_puts(out, e.msg);
		return verr_exit(&e);
	}
	ha_state_write(out, &s);
	return 0;
}

static void
on_look(int status, const struct buf *said, void *arg)
{
	struct question *q = arg;

	question_answer(q, status == 0 ? 200 : 503, said->data);
}

static void
on_question_state(struct question *q)
{
	struct verr e = VERR_INIT;

	if (!worker_start(q->follow->loop, look, NULL, on_look, q, &e))
		question_answer(q, 503, e.msg);
}

static void
on_question_demote(struct question *q)
{
	struct follow *f = q->follow;

	if (ha_is_patroni()) {
		question_answer(q, 409, "Patroni decides here who writes");
		return;
	}
	if (f->demand) {
		question_answer(q, 409, "already asked");
		return;
	}
	f->demand = q;
	follow_next(f);
}

/* At once: no look at the server, which may hang. */
static void
on_question_lease(struct question *q)
{
	question_answer(q, 200,
			q->follow->last.len ? q->follow->last.data : "{}");
}

static const struct {
	const char *name;
	void (*fn)(struct question *q);
} questions[] = {
	{ HA_ASK_LEASE, on_question_lease },
	{ HA_ASK_STATE, on_question_state },
	{ HA_ASK_DEMOTE, on_question_demote },
	{ .name = NULL },
};

static struct question *
new_question(struct follow *f, struct http_request *r, const char *name)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (!f->questions[i].request) {
			f->questions[i] = (struct question){
				.follow = f,
				.request = r,
				.name = name,
				.asked_ms = loop_now_ms(),
			};
			return &f->questions[i];
		}
	return NULL;
}

/* Anybody can ask: a line a second is enough. */
static void
tell_refusal(struct follow *f, const char *from, enum peer_verdict verdict)
{
	char others[16];

	if (f->refused_ms && loop_now_ms() - f->refused_ms < REFUSAL_MS) {
		f->refusals++;
		return;
	}
	snprintf(others, sizeof(others), "%u", f->refusals);
	log_event(LOG_LEVEL_WARNING, "peer request refused", "from", from,
		  "why",
		  verdict == PEER_FORGED ? "not signed with our key"
		  : verdict == PEER_LATE ? "the clocks differ"
					 : "seen before",
		  "untold", f->refusals ? others : NULL, NULL);
	f->refusals = 0;
	f->refused_ms = loop_now_ms();
}

static void
on_peer(struct http_request *r, void *arg)
{
	const char *name = r->path + strlen("/peer/");
	enum peer_verdict verdict;
	struct peer_message m;
	struct question *q;
	size_t i = 0;

	while (questions[i].name && strcmp(questions[i].name, name) != 0)
		i++;
	if (!questions[i].name) {
		http_reply(r, 404, NULL, "", 0);
		return;
	}
	q = new_question(arg, r, questions[i].name);
	if (!q) {
		http_reply(r, 503, NULL, "", 0);
		return;
	}
	verdict = peer_read(r->body.data, q->follow->key, PEER_REQUEST, name,
			    ha_real_ms(), NULL, &m);
	memcpy(q->nonce, m.nonce, sizeof(q->nonce));
	if (verdict == PEER_GOOD) {
		questions[i].fn(q);
		return;
	}
	tell_refusal(q->follow, r->peer, verdict);
	if (verdict == PEER_LATE) {
		question_answer(q, 409, HA_PEER_CLOCKS);
	} else {
		http_reply(r, 403, NULL, "", 0);
		q->request = NULL;
	}
}

const struct http_route follow_routes[] = {
	/* Signed, which is more than credentials. */
	{ "POST", "/peer/", PEER_BODY_MAX, true, on_peer },
	{ .method = NULL },
};
