#include "health.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "log.h"
#include "verdict.h"
#include "worker.h"

#define BEAT_MS INT64_C(1000)
/* How soon a probe that failed at its first turn is tried again. */
#define SOON_MS INT64_C(300)
/* The first round of all probes is over by then. */
#define ALL_MS INT64_C(30000)

struct watch {
	struct serving *serving;
	struct probe own; /* its row */
	const struct probe *probe;
	size_t index;
	struct worker *worker;
	struct loop_timer timer; /* the next turn, or the end of this one */
	int64_t begun_ms;
	bool late;  /* its time is over, its process not yet */
	bool stuck; /* and it is in the way of the next turn */
};

struct serving {
	struct health health; /* the first member: health_routes' argument */
	struct loop *loop;
	struct watch watches[PROBES_MAX];
	size_t pending; /* without a result so far */
	bool once;      /* for people: each probe runs once, no verdict */
	struct loop_timer beat;
	long postmaster;
	int postmaster_fd;
	struct verdict last; /* written */
	int claim;       /* that we are the one who writes; -1: we are not */
	int claim_fault; /* the kind of what forbids it, told once */
	bool unwritten;  /* the last one could not be; told once */
	bool untold;     /* the same of health.json */
};

/* --- the verdict ------------------------------------------------------ */

/* All of it, for people and programs; keepalived has had its word. */
static void
write_json(struct serving *s)
{
	struct verr e = VERR_INIT;
	struct buf path = BUF_INIT, b = BUF_INIT;

	buf_printf(&path, "%s/health.json", conf_str("health_dir"));
	health_json(&b, &s->health);
	if (!buf_failed(&path) && !buf_failed(&b)) {
		bool failed = file_replace(path.data, b.data, b.len, 0644,
					   false, &e) == -1;

		if (failed && !s->untold)
			log_error("%s", e.msg);
		s->untold = failed;
	}
	buf_release(&path);
	buf_release(&b);
}

/* Another one may write it so far, or its directory be missing. */
static bool
is_writer(struct serving *s)
{
	struct verr e = VERR_INIT;

	if (s->claim != -1)
		return true;
	s->claim = verdict_claim(&e);
	if (s->claim == -1 && (int)e.kind != s->claim_fault)
		log_error("no verdict is given: %s", e.msg);
	s->claim_fault = s->claim == -1 ? (int)e.kind : 0;
	return s->claim != -1;
}

static void
write_verdict(struct serving *s, const struct verdict *v)
{
	struct verr e = VERR_INIT;
	bool failed = verdict_write(v, &e) == -1;

	if (failed && !s->unwritten)
		log_error("%s", e.msg);
	else if (!failed && s->unwritten)
		log_info("the verdict can be written again");
	s->unwritten = failed;
}

static void
tell(struct serving *s)
{
	struct verdict v;
	bool same;

	if (s->once || !health_is_settled(&s->health))
		return;
	health_judge(&s->health, &v);
	same = v.fit == s->last.fit && v.held == s->last.held &&
	       v.has_address == s->last.has_address &&
	       strcmp(v.role, s->last.role) == 0;
	/* A file twice in a second tells nobody anything. */
	if (same && v.at_ms - s->last.at_ms < BEAT_MS)
		return;
	if (!is_writer(s))
		return;
	write_verdict(s, &v);
	if (!s->unwritten)
		write_json(s);
	if (v.fit != s->last.fit || v.held != s->last.held)
		log_event(v.fit && !v.held ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
			  "verdict", "state",
			  !v.fit   ? "unfit"
			  : v.held ? "held"
				   : "fit",
			  "cause", *v.cause ? v.cause : NULL, NULL);
	s->last = v;
}

static void
on_beat(void *arg)
{
	struct serving *s = arg;

	tell(s);
	loop_timer_set(s->loop, &s->beat, BEAT_MS);
}

/* --- results ---------------------------------------------------------- */

static void
take_result(struct watch *w, const struct probe_result *found)
{
	struct health *h = &w->serving->health;
	enum probe_state before = h->results[w->index].state;
	bool first = h->results[w->index].at == 0;
	struct probe_result r = *found;

	r.took_ms = loop_now_ms() - w->begun_ms;
	r.at = time(NULL);
	health_take(h, w->index, &r);
	if (first)
		w->serving->pending--;
	if (!w->serving->once &&
	    ((first && r.state > PROBE_OFF) || (!first && r.state != before)))
		log_event(r.state > PROBE_OFF ? LOG_LEVEL_WARNING
					      : LOG_LEVEL_INFO,
			  "probe", "name", w->probe->name, "state",
			  probe_state_word(r.state), "detail", r.detail, NULL);
}

/* --- the postmaster --------------------------------------------------- */

static void
forget_postmaster(struct serving *s)
{
	if (s->postmaster_fd != -1) {
		loop_remove_fd(s->loop, s->postmaster_fd);
		close(s->postmaster_fd);
	}
	s->postmaster_fd = -1;
	s->postmaster = 0;
}

static void
on_postmaster_end(int fd, unsigned events, void *arg)
{
	struct watch *w = arg;
	struct serving *s = w->serving;
	struct probe_result r = { 0 };

	(void)fd;
	(void)events;
	probe_found(&r, PROBE_FAILED, "the postmaster, process %ld, has ended",
		    s->postmaster);
	forget_postmaster(s);
	w->begun_ms = loop_now_ms();
	for (int n = w->probe->fall; n > 0; n--)
		take_result(w, &r);
	tell(s);
}

static void
watch_postmaster(struct watch *w)
{
	struct serving *s = w->serving;
	struct verr e = VERR_INIT;
	long pid = s->health.results[w->index].postmaster;

	if (!pid || pid == s->postmaster)
		return;
	forget_postmaster(s);
	s->postmaster_fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (s->postmaster_fd == -1)
		return; /* it has just ended: the next probe sees that */
	s->postmaster = pid;
	if (loop_add_fd(s->loop, s->postmaster_fd, EPOLLIN, on_postmaster_end,
			w, &e) == -1) {
		log_warning("%s", e.msg);
		forget_postmaster(s);
	}
}

/* --- turns ------------------------------------------------------------ */

/* In the worker. */
static int
work(struct buf *out, void *arg)
{
	const struct watch *w = arg;
	struct probe_result r;

	probe_run(w->probe, &r);
	probe_pack(out, &r);
	return buf_failed(out) ? 1 : 0;
}

/* The next one, an interval after this one began. */
static void
set_turn(struct watch *w)
{
	int64_t left = w->begun_ms - loop_now_ms() +
		       (health_is_settled(&w->serving->health) ||
					w->probe->interval_ms < SOON_MS
				? w->probe->interval_ms
				: SOON_MS);

	if (!w->serving->once)
		loop_timer_set(w->serving->loop, &w->timer,
			       left > 0 ? left : 0);
}

static void
on_result(int status, const struct buf *said, void *arg)
{
	struct watch *w = arg;
	struct probe_result r = { 0 };

	w->worker = NULL;
	if (w->late) {
		/* That was taken, and the next turn is set. */
		if (w->stuck)
			loop_timer_set(w->serving->loop, &w->timer, 0);
		w->late = w->stuck = false;
		return;
	}
	loop_timer_clear(w->serving->loop, &w->timer);
	if (status != 0 || !probe_unpack(&r, said))
		probe_found(&r, PROBE_FAILED, "the probe itself ended");
	take_result(w, &r);
	watch_postmaster(w);
	tell(w->serving);
	set_turn(w);
}

/*
 * Its time is over.  A process that waits for a disk that is gone cannot be
 * killed, so the verdict does not wait for its end: while it is in the way, a
 * turn is as good as one that failed.
 */
static void
give_up(struct watch *w)
{
	struct probe_result r = { 0 };

	worker_kill(w->worker);
	w->late = true;
	w->stuck = false;
	probe_found(&r, PROBE_FAILED, "no result within %" PRId64 " ms",
		    w->probe->timeout_ms);
	take_result(w, &r);
	tell(w->serving);
	set_turn(w);
}

static void
on_timer(void *arg)
{
	struct watch *w = arg;
	struct probe_result r = { 0 };
	struct verr e = VERR_INIT;

	if (w->worker && (w->stuck || !w->late)) {
		give_up(w);
		return;
	}
	w->begun_ms = loop_now_ms();
	if (w->worker) {
		w->stuck = true;
		loop_timer_set(w->serving->loop, &w->timer,
			       w->probe->timeout_ms);
		return;
	}
	if (probe_is_quick(w->probe)) {
		probe_run(w->probe, &r);
		take_result(w, &r);
		tell(w->serving);
		set_turn(w);
		return;
	}
	w->worker = worker_start(w->serving->loop, work, w, on_result, w, &e);
	if (w->worker) {
		loop_timer_set(w->serving->loop, &w->timer,
			       w->probe->timeout_ms);
		return;
	}
	probe_found(&r, PROBE_FAILED, "%s", e.msg);
	take_result(w, &r);
	tell(w->serving);
	set_turn(w);
}

static struct serving *
begin(struct loop *loop, bool once, struct verr *e)
{
	struct serving *s = calloc(1, sizeof(*s));

	if (!s) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	s->loop = loop;
	s->once = once;
	s->postmaster_fd = -1;
	s->claim = -1;
	s->last.fit = true;
	s->pending = probe_count();
	for (size_t i = 0; i < probe_count(); i++) {
		struct watch *w = &s->watches[i];

		w->serving = s;
		w->own = probes[i];
		/* One look, all at the same time, and no second one. */
		if (once)
			w->own.timeout_ms *= 3;
		w->probe = &w->own;
		w->index = i;
		w->timer.fn = on_timer;
		w->timer.arg = w;
		on_timer(w);
	}
	return s;
}

static void
end(struct serving *s)
{
	loop_timer_clear(s->loop, &s->beat);
	forget_postmaster(s);
	if (s->claim != -1)
		close(s->claim);
	for (size_t i = 0; i < probe_count(); i++) {
		struct watch *w = &s->watches[i];

		loop_timer_clear(s->loop, &w->timer);
		if (w->worker)
			worker_kill(w->worker);
		worker_abandon(w->worker);
	}
	free(s);
}

int
health_start(struct loop *loop, void **arg, struct verr *e)
{
	struct serving *s = begin(loop, false, e);

	if (!s)
		return -1;
	s->beat = (struct loop_timer){ .fn = on_beat, .arg = s };
	loop_timer_set(loop, &s->beat, BEAT_MS);
	*arg = s;
	return 0;
}

void
health_stop(void *arg)
{
	struct serving *s = arg;

	if (s->claim != -1)
		verdict_remove();
	end(s);
}

static void
repeat(struct health *h, size_t i)
{
	const struct probe_result r = h->results[i];

	while (!h->faulty[i])
		health_take(h, i, &r);
}

int
health_probe_all(struct health *h, struct verr *e)
{
	struct loop *loop = loop_new(e);
	struct serving *s = loop ? begin(loop, true, e) : NULL;
	int64_t end_ms = loop_now_ms() + ALL_MS;
	int rc = s ? 0 : -1;

	while (rc == 0 && s->pending && loop_now_ms() < end_ms)
		rc = loop_turn(loop, 1000, e);
	if (s) {
		*h = s->health;
		/* One look: nothing had the time to fail twice. */
		for (size_t i = 0; i < probe_count(); i++)
			if (h->failures[i])
				repeat(h, i);
		end(s);
	}
	loop_free(loop);
	return rc;
}
