#include "hafollow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "haalert.h"
#include "hanode.h"
#include "hapeer.h"
#include "hash.h"
#include "hasteps.h"
#include "httpc.h"
#include "log.h"
#include "pairfile.h"
#include "peerwire.h"
#include "witness.h"
#include "worker.h"

#define BEAT_MS   INT64_C(100)
#define TICK_MS   INT64_C(1000)
#define SILENT_MS INT64_C(1000) /* of a peer, for voip-healthd */
#define ASK_MS    INT64_C(500)  /* of a node without the address */
#define PAUSE_MAX 6             /* doublings */
#define FIFO_LINE 512
#define QUESTIONS 16 /* of the peer, at the same time */

struct follow;

/* A question of the peer that waits for its worker. */
struct question {
	struct follow *follow;
	struct http_request *request;
	const char *name;
	char nonce[PEER_NONCE];
	struct worker *worker;
};

struct follow {
	struct loop *loop;
	int fifo;
	struct buf line;
	unsigned char key[SECRET_KEY];
	enum ha_vrrp told;   /* by keepalived, not yet acted upon */
	enum ha_vrrp vrrp;   /* acted upon last */
	enum ha_event doing; /* for the worker */
	bool busy;
	struct loop_timer tick;
	int failures; /* of ticks, in a row: each doubles the pause */
	struct question questions[QUESTIONS];
	struct question *demand; /* to stop writing, waits for `busy` */
	struct buf last;         /* our state as the last worker saw it */

	/* Of a node with the address: is there anybody else? */
	struct httpc *http;
	struct loop_timer beat;
	char nonce[PEER_NONCE]; /* of the lease that is asked for, or "" */
	int64_t heard_ms;       /* the peer */
	int64_t asked_ms;       /* the peer */
	int64_t word_ms;        /* of the peer, for voip-healthd */
	int64_t seen_ms;        /* a witness */
	struct worker *witness;
	bool isolated; /* told to keepalived */
	bool alone;    /* the transition for it is due */
	bool look_now; /* the peer said something that needs a tick */
};

static const enum ha_event events[HA_VRRPS] = {
	[HA_VRRP_NONE] = HA_ON_TICK,     [HA_VRRP_MASTER] = HA_ON_MASTER,
	[HA_VRRP_BACKUP] = HA_ON_BACKUP, [HA_VRRP_FAULT] = HA_ON_FAULT,
	[HA_VRRP_STOP] = HA_ON_STOP,
};

/* --- transitions ------------------------------------------------------ */

/* In the worker: the answer is our state afterwards. */
static int
transition(struct buf *out, void *arg)
{
	const struct follow *f = arg;
	struct verr e = VERR_INIT;
	struct ha_outcome o = { 0 };
	int rc = ha_transition(f->doing, f->vrrp, &o, &e);

	ha_alert(&o, rc == -1 ? &e : NULL);
	if (rc == -1) {
		log_error("%s", e.msg);
		buf_puts(out, e.msg);
		return verr_exit(&e);
	}
	ha_state_write(out, &o.state);
	return 0;
}

static void next(struct follow *f);

static void
answer(struct question *q, int status, const char *body)
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

static void
on_transition(int status, const struct buf *said, void *arg)
{
	struct follow *f = arg;

	f->busy = false;
	if (status == 0) {
		buf_clear(&f->last);
		buf_puts(&f->last, said->data);
	}
	if (f->doing == HA_ON_TICK)
		f->failures = status == 0 ? 0 : f->failures + 1;
	if (f->doing == HA_ON_PEER && f->demand) {
		answer(f->demand, status == 0 ? 200 : 409, said->data);
		f->demand = NULL;
	}
	next(f);
}

static void
start(struct follow *f, enum ha_event event)
{
	struct verr e = VERR_INIT;

	f->doing = event;
	f->busy = true;
	if (worker_start(f->loop, transition, f, on_transition, f, &e))
		return;
	log_error("%s", e.msg);
	f->busy = false; /* the tick tries again */
}

/* The peer's demand first, then keepalived's last word. */
static void
next(struct follow *f)
{
	if (f->busy)
		return;
	if (f->demand) {
		start(f, HA_ON_PEER);
	} else if (f->alone) {
		f->alone = false;
		start(f, HA_ON_ISOLATED);
	} else if (f->look_now) {
		f->look_now = false;
		start(f, HA_ON_TICK);
	} else if (f->told != HA_VRRP_NONE) {
		f->vrrp = f->told;
		f->told = HA_VRRP_NONE;
		start(f, events[f->vrrp]);
	}
}

static void
on_tick(void *arg)
{
	struct follow *f = arg;
	int doublings = f->failures < PAUSE_MAX ? f->failures : PAUSE_MAX;

	next(f);
	if (!f->busy)
		start(f, HA_ON_TICK);
	loop_timer_set(f->loop, &f->tick, TICK_MS << doublings);
}

/* --- alone? ----------------------------------------------------------- */

static void
tell_isolated(struct follow *f, bool isolated)
{
	struct verr e = VERR_INIT;

	if (f->isolated != isolated)
		log_event(isolated ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
			  "isolated", "state", isolated ? "yes" : "no", NULL);
	f->isolated = isolated;
	if (ha_track("isolated", isolated, &e) == -1)
		log_error("%s", e.msg);
}

/* The verdict of a node depends on what the other could do instead. */
static void
tell_health(struct follow *f, const struct ha_state *peer, const char *why)
{
	struct verr e = VERR_INIT;

	if (peer)
		f->word_ms = loop_now_ms();
	else if (loop_now_ms() - f->word_ms < SILENT_MS)
		return;
	if (pairfile_tell_peer(peer, why, &e) == -1)
		log_warning("%s", e.msg);
}

static void
on_lease(long status, const struct buf *answer_, const struct verr *failure,
	 void *arg)
{
	struct follow *f = arg;
	struct verr e = VERR_INIT;
	struct ha_state peer;
	char nonce[PEER_NONCE];

	memcpy(nonce, f->nonce, sizeof(nonce));
	*f->nonce = '\0';
	if (failure) {
		tell_health(f, NULL, failure->msg);
		return;
	}
	if (ha_peer_answer(status, answer_, f->key, HA_ASK_LEASE, nonce, &peer,
			   &e) == -1) {
		log_warning("peer: %s", e.msg);
		return;
	}
	tell_health(f, &peer, "");
	f->heard_ms = loop_now_ms();
	if (f->isolated)
		tell_isolated(f, false);
	if (peer.pg == HA_PG_PRIMARY && f->vrrp == HA_VRRP_MASTER) {
		f->look_now = true;
		next(f);
	}
}

static void
ask_for_lease(struct follow *f)
{
	struct buf url = BUF_INIT, request = BUF_INIT;
	struct verr e = VERR_INIT;

	if (*f->nonce)
		return;
	f->asked_ms = loop_now_ms();
	if (ha_peer_request(HA_ASK_LEASE, f->key, &url, &request, f->nonce,
			    &e) == -1 ||
	    httpc_post(f->http, url.data, "text/plain", request.data,
		       conf_ms("peer_timeout"), PEER_BODY_MAX, on_lease, f,
		       &e) == -1) {
		*f->nonce = '\0';
		log_warning("%s", e.msg);
	}
	buf_release(&url);
	buf_release(&request);
}

/* In the worker. */
static int
ask_witnesses(struct buf *out, void *arg)
{
	struct verr e = VERR_INIT;
	int seen = witness_ask(conf_str("witnesses"),
			       conf_ms("witness_timeout"), &e);

	(void)out;
	(void)arg;
	if (seen == -1)
		log_warning("witnesses: %s", e.msg);
	return seen == 1 ? 0 : 1;
}

/*
 * Both have had their time, and neither used it.  The loop itself may have
 * stood still: what counts is an answer that was waited for, not the clock.
 */
static void
on_witnesses(int status, const struct buf *said, void *arg)
{
	struct follow *f = arg;
	int64_t now = loop_now_ms(), limit = conf_ms("self_fence_after");

	(void)said;
	f->witness = NULL;
	if (status == 0)
		f->seen_ms = now;
	if (status == 0 || f->isolated || now - f->heard_ms < limit ||
	    now - f->seen_ms < limit || f->vrrp != HA_VRRP_MASTER)
		return;
	tell_isolated(f, true);
	f->alone = true;
	next(f);
}

static void
on_beat(void *arg)
{
	struct follow *f = arg;
	struct verr e = VERR_INIT;

	loop_timer_set(f->loop, &f->beat, BEAT_MS);
	if (f->vrrp != HA_VRRP_MASTER && !f->isolated) {
		f->heard_ms = f->seen_ms = loop_now_ms();
		if (loop_now_ms() - f->asked_ms >= ASK_MS)
			ask_for_lease(f);
		return;
	}
	ask_for_lease(f);
	if (f->witness || loop_now_ms() - f->heard_ms < BEAT_MS * 3 / 2 ||
	    !*conf_str("witnesses"))
		return;
	f->witness =
		worker_start(f->loop, ask_witnesses, NULL, on_witnesses, f, &e);
	if (!f->witness)
		log_warning("%s", e.msg);
}

/* --- keepalived ------------------------------------------------------- */

/* INSTANCE "VI_1" MASTER 200 */
static enum ha_vrrp
state_of(const char *line)
{
	const char *quote = strrchr(line, '"');
	char word[16];

	if (strncmp(line, "INSTANCE ", 9) != 0 || !quote ||
	    sscanf(quote + 1, " %15s", word) != 1)
		return HA_VRRP_NONE;
	return ha_vrrp_from(word);
}

static void
take_line(struct follow *f, const char *line)
{
	enum ha_vrrp state = state_of(line);
	struct verr e = VERR_INIT;

	log_event(LOG_LEVEL_INFO, "keepalived", "line", line, NULL);
	if (state == HA_VRRP_NONE)
		return;
	f->told = state;
	if (pairfile_tell_vrrp(state, &e) == -1)
		log_warning("%s", e.msg);
}

static void
on_fifo(int fd, unsigned events_, void *arg)
{
	struct follow *f = arg;
	char block[4096], *end;
	ssize_t n;

	(void)events_;
	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_add(&f->line, block, (size_t)n);
	while ((end = memchr(f->line.data, '\n', f->line.len))) {
		*end = '\0';
		take_line(f, f->line.data);
		buf_skip(&f->line, (size_t)(end - f->line.data) + 1);
	}
	if (f->line.len > FIFO_LINE || buf_failed(&f->line)) {
		log_warning("rubbish in the notify FIFO");
		buf_clear(&f->line);
	}
	next(f);
}

/* Open for both ways, so that it has no end when keepalived goes. */
static int
open_fifo(struct follow *f, struct verr *e)
{
	const char *path = conf_str("failover_fifo");
	struct stat st;

	if (mkfifo(path, 0600) == -1 && errno != EEXIST)
		return verr_sys(e, VERR_CONFIG, "cannot make the FIFO '%s'",
				path);
	f->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (f->fifo == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open '%s'", path);
	if (fstat(f->fifo, &st) == -1 || !S_ISFIFO(st.st_mode))
		return verr_set(e, VERR_CONFIG, "'%s' is no FIFO", path);
	return loop_add_fd(f->loop, f->fifo, EPOLLIN, on_fifo, f, e);
}

/* --- the peer --------------------------------------------------------- */

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

	answer(q, status == 0 ? 200 : 503, said->data);
}

static void
on_question_state(struct question *q)
{
	struct verr e = VERR_INIT;

	if (!worker_start(q->follow->loop, look, NULL, on_look, q, &e))
		answer(q, 503, e.msg);
}

static void
on_question_demote(struct question *q)
{
	struct follow *f = q->follow;

	if (f->demand) {
		answer(q, 409, "already asked");
		return;
	}
	f->demand = q;
	next(f);
}

/* At once: no look at the server, which may hang. */
static void
on_question_lease(struct question *q)
{
	answer(q, 200, q->follow->last.len ? q->follow->last.data : "{}");
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
			};
			return &f->questions[i];
		}
	return NULL;
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
	log_event(LOG_LEVEL_WARNING, "peer request refused", "from", r->peer,
		  "why",
		  verdict == PEER_FORGED ? "not signed with our key"
		  : verdict == PEER_LATE ? "the clocks differ"
					 : "seen before",
		  NULL);
	if (verdict == PEER_LATE) {
		answer(q, 409, HA_PEER_CLOCKS);
	} else {
		http_reply(r, 403, NULL, "", 0);
		q->request = NULL;
	}
}

static const struct http_route routes[] = {
	/* Signed, which is more than credentials. */
	{ "POST", "/peer/", PEER_BODY_MAX, true, on_peer },
	{ .method = NULL },
};

/* --- the service ------------------------------------------------------ */

static void
stop(void *arg)
{
	struct follow *f = arg;

	loop_timer_clear(f->loop, &f->tick);
	loop_timer_clear(f->loop, &f->beat);
	worker_abandon(f->witness);
	httpc_free(f->http);
	buf_release(&f->last);
	if (f->fifo != -1) {
		loop_remove_fd(f->loop, f->fifo);
		close(f->fifo);
	}
	hash_wipe(f->key, sizeof(f->key));
	buf_release(&f->line);
	free(f);
}

static bool
busy(void *arg)
{
	return ((const struct follow *)arg)->busy;
}

static int
begin(struct loop *loop, void **arg, struct verr *e)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return verr_set(e, VERR_RETRY, "out of memory");
	*f = (struct follow){
		.loop = loop,
		.fifo = -1,
		.line = BUF_INIT,
		.last = BUF_INIT,
	};
	f->tick = (struct loop_timer){ .fn = on_tick, .arg = f };
	f->beat = (struct loop_timer){ .fn = on_beat, .arg = f };
	*arg = f;
	if (open_fifo(f, e) == -1)
		return -1;
	loop_timer_set(loop, &f->tick, TICK_MS);
	if (!*conf_str("peer_address"))
		return 0;
	f->http = httpc_new(loop, e);
	if (!f->http ||
	    secret_read_key(f->key, conf_str("peer_key_file"), e) == -1)
		return -1;
	tell_isolated(f, false);
	on_beat(f);
	return 0;
}

const struct service ha_follow = {
	.routes = routes,
	.listen_setting = "peer_listen",
	.start = begin,
	.busy = busy,
	.stop = stop,
};
