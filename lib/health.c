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
#include "log.h"
#include "verdict.h"
#include "worker.h"

#define BEAT_MS  INT64_C(1000)
#define VALID_MS INT64_C(3000)
/* The first round of all probes is over by then. */
#define ALL_MS INT64_C(30000)

struct watch {
	struct serving *serving;
	const struct probe *probe;
	struct probe_result *result;
	int *failures;
	struct worker *worker;
	struct loop_timer timer; /* the next turn, or the end of this one */
	int64_t begun_ms;
	bool again; /* at once */
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
	char written[256]; /* the cause, to log a change once */
	bool was_fit;
};

/* --- the verdict ------------------------------------------------------ */

const struct probe *
health_fault(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (probes[i].class == PROBE_FATAL &&
		    (h->failures[i] >= probes[i].fall || h->results[i].at == 0))
			return &probes[i];
	return NULL;
}

enum probe_role
health_role(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (h->results[i].role != PROBE_NO_ROLE &&
		    h->results[i].state != PROBE_FAILED)
			return h->results[i].role;
	return PROBE_NO_ROLE;
}

static bool
has_address(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (h->results[i].has_address)
			return true;
	return false;
}

static void
judge(const struct health *h, struct verdict *v)
{
	static const char *const roles[] = { "none", "primary", "standby" };
	const struct probe *fault = health_fault(h);

	*v = (struct verdict){
		.fit = !fault,
		.has_address = has_address(h),
		.at_ms = verdict_now_ms(),
		.valid_ms = VALID_MS,
	};
	snprintf(v->role, sizeof(v->role), "%s", roles[health_role(h)]);
	if (fault) {
		const struct probe_result *r = &h->results[fault - probes];

		snprintf(v->cause, sizeof(v->cause), "%s: %.200s", fault->name,
			 r->at ? r->detail : "not yet known");
	}
}

static void
tell(struct serving *s)
{
	struct verr e = VERR_INIT;
	struct verdict v;

	if (s->once)
		return;
	judge(&s->health, &v);
	if (verdict_write(&v, &e) == -1)
		log_error("%s", e.msg);
	if (v.fit != s->was_fit)
		log_event(v.fit ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "verdict",
			  "state", v.fit ? "fit" : "unfit", "cause",
			  v.fit ? NULL : v.cause, NULL);
	s->was_fit = v.fit;
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
take_result(struct watch *w, const struct probe_result *r)
{
	enum probe_state before = w->result->state;
	bool first = w->result->at == 0;

	*w->result = *r;
	w->result->took_ms = loop_now_ms() - w->begun_ms;
	w->result->at = time(NULL);
	*w->failures = r->state == PROBE_FAILED ? *w->failures + 1 : 0;
	if (first)
		w->serving->pending--;
	if (!w->serving->once &&
	    ((first && r->state > PROBE_OFF) || (!first && r->state != before)))
		log_event(r->state > PROBE_OFF ? LOG_LEVEL_WARNING
					       : LOG_LEVEL_INFO,
			  "probe", "name", w->probe->name, "state",
			  probe_state_word(r->state), "detail", r->detail,
			  NULL);
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
	take_result(w, &r);
	*w->failures = w->probe->fall;
	tell(s);
}

static void
watch_postmaster(struct watch *w)
{
	struct serving *s = w->serving;
	struct verr e = VERR_INIT;
	long pid = w->result->postmaster;

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
	buf_add(out, &r, sizeof(r));
	return buf_failed(out) ? 1 : 0;
}

static void
on_result(int status, const struct buf *said, void *arg)
{
	struct watch *w = arg;
	struct probe_result r = { 0 };
	int64_t left;

	w->worker = NULL;
	loop_timer_clear(w->serving->loop, &w->timer);
	if (status == 0 && said->len == sizeof(r))
		memcpy(&r, said->data, sizeof(r));
	else
		probe_found(&r, PROBE_FAILED, "no result within %" PRId64 " ms",
			    w->probe->timeout_ms);
	take_result(w, &r);
	watch_postmaster(w);
	tell(w->serving);
	if (w->serving->once)
		return;
	left = w->begun_ms + w->probe->interval_ms - loop_now_ms();
	loop_timer_set(w->serving->loop, &w->timer, left > 0 ? left : 0);
}

static void
on_timer(void *arg)
{
	struct watch *w = arg;
	struct probe_result r = { 0 };
	struct verr e = VERR_INIT;

	if (w->worker) {
		worker_kill(w->worker);
		return;
	}
	w->begun_ms = loop_now_ms();
	w->worker = worker_start(w->serving->loop, work, w, on_result, w, &e);
	if (w->worker) {
		loop_timer_set(w->serving->loop, &w->timer,
			       w->probe->timeout_ms);
		return;
	}
	probe_found(&r, PROBE_FAILED, "%s", e.msg);
	take_result(w, &r);
	loop_timer_set(w->serving->loop, &w->timer, w->probe->interval_ms);
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
	s->was_fit = true;
	s->pending = probe_count();
	for (size_t i = 0; i < probe_count(); i++) {
		struct watch *w = &s->watches[i];

		w->serving = s;
		w->probe = &probes[i];
		w->result = &s->health.results[i];
		w->failures = &s->health.failures[i];
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
	verdict_remove();
	end(arg);
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
				h->failures[i] = probes[i].fall;
		end(s);
	}
	loop_free(loop);
	return rc;
}

int
health_simulate(struct health *h, const char *assignment, struct verr *e)
{
	size_t len = strcspn(assignment, "="), i = 0;

	while (i < probe_count() && (strlen(probes[i].name) != len ||
				     strncmp(probes[i].name, assignment, len)))
		i++;
	for (int state = PROBE_OK;
	     i < probe_count() && assignment[len] && state <= PROBE_FAILED;
	     state++)
		if (strcmp(probe_state_word((enum probe_state)state),
			   assignment + len + 1) == 0) {
			h->results[i].state = (enum probe_state)state;
			h->failures[i] =
				state == PROBE_FAILED ? probes[i].fall : 0;
			snprintf(h->results[i].detail,
				 sizeof(h->results[i].detail), "simulated");
			return 0;
		}
	return verr_set(e, VERR_USAGE,
			"'%s' is no probe with a state\n"
			"hint: database=failed, cdr-spool=warning",
			assignment);
}

/* --- for people ------------------------------------------------------- */

int
health_print(const struct health *h, FILE *file, enum out_format format,
	     struct verr *e)
{
	static const struct out_column columns[] = {
		{ "probe", OUT_TEXT },  { "class", OUT_TEXT },
		{ "state", OUT_TEXT },  { "ms", OUT_NUMBER },
		{ "detail", OUT_TEXT },
	};
	struct out *o = out_begin(file, format, columns, 5, e);
	char ms[24];

	if (!o)
		return -1;
	for (size_t i = 0; i < probe_count(); i++) {
		const struct probe_result *r = &h->results[i];
		const char *const values[] = {
			probes[i].name,
			probe_class_word(probes[i].class),
			probe_state_word(r->state),
			ms,
			r->detail,
		};

		snprintf(ms, sizeof(ms), "%" PRId64, r->took_ms);
		out_row(o, values);
	}
	return out_end(o, e);
}
