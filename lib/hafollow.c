#include "hafollow.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf.h"
#include "haalert.h"
#include "haduty.h"
#include "hafollow_private.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hash.h"
#include "hasteps.h"
#include "log.h"
#include "pairfile.h"
#include "pgcontrol.h"

#define TICK_MS   INT64_C(1000)
#define PAUSE_MAX 6 /* doublings */

/* --- transitions ------------------------------------------------------ */

/* In the worker: the answer is our state afterwards. */
static int
transition(struct buf *out, void *arg)
{
	const struct follow *f = arg;
	struct verr e = VERR_INIT;
	struct ha_outcome o = { 0 };
	int rc = ha_transition(f->doing, f->vrrp, follow_waited_ms(f), &o, &e);

	ha_alert(&o, rc == -1 ? &e : NULL);
	if (rc == -1) {
		log_error("%s", e.msg);
		buf_puts(out, e.msg);
		return verr_exit(&e);
	}
	ha_state_write(out, &o.state);
	return 0;
}

/* In the worker. */
static int
tend(struct buf *out, void *arg)
{
	struct verr e = VERR_INIT;

	(void)out;
	(void)arg;
	if (ha_tend(&e) == 0)
		return 0;
	log_error("%s", e.msg);
	return verr_exit(&e);
}

static void
on_tended(int status, const struct buf *said, void *arg)
{
	struct follow *f = arg;

	(void)said;
	f->tending = NULL;
	f->tend_failures = status == 0 ? 0 : f->tend_failures + 1;
	f->tended_ms = loop_now_ms();
}

/* Beside the transitions, which do not wait for a service that is slow. */
static void
see_to_services(struct follow *f)
{
	int doublings =
		f->tend_failures < PAUSE_MAX ? f->tend_failures : PAUSE_MAX;
	struct verr e = VERR_INIT;
	struct ha_state s;

	if (f->tending || !f->last.len ||
	    (f->tend_failures &&
	     loop_now_ms() - f->tended_ms < TICK_MS << doublings) ||
	    ha_state_read(f->last.data, &s, &e) == -1 || !ha_duty_is_due(&s))
		return;
	f->tending = worker_start(f->loop, tend, NULL, on_tended, f, &e);
	if (!f->tending)
		log_error("%s", e.msg);
}

static void
on_transition(int status, const struct buf *said, void *arg)
{
	struct follow *f = arg;

	f->moving = NULL;
	if (status == 0) {
		buf_clear(&f->last);
		buf_puts(&f->last, said->data);
	}
	if (status == 0 &&
	    (f->doing & (HA_ON_STALE | HA_ON_ISOLATED | HA_ON_PEER)))
		still_end(f);
	/* What succeeds leads on to what is next: the pause is over. */
	if (status == 0 && f->failures)
		loop_timer_set(f->loop, &f->tick, TICK_MS);
	if (f->doing == HA_ON_TICK || f->doing == HA_ON_MASTER)
		f->failures = status == 0 ? 0 : f->failures + 1;
	if (status == 0 && f->doing == HA_ON_TICK)
		see_to_services(f);
	if (f->doing == HA_ON_PEER && f->demand) {
		question_answer(f->demand, status == 0 ? 200 : 409, said->data);
		f->demand = NULL;
	}
	follow_next(f);
}

static void
start(struct follow *f, enum ha_event event)
{
	struct verr e = VERR_INIT;

	f->doing = event;
	if (event != HA_ON_TICK && f->tending)
		worker_kill(f->tending);
	f->moving = worker_start(f->loop, transition, f, on_transition, f, &e);
	if (!f->moving) /* the tick tries again */
		log_error("%s", e.msg);
}

static void
end_pause(struct follow *f)
{
	f->failures = 0;
	loop_timer_set(f->loop, &f->tick, TICK_MS);
}

/* It waited behind a long transition: whoever asked has given up, and may have
 * stopped writing itself. */
static bool
is_demanded(struct follow *f)
{
	if (!f->demand ||
	    loop_now_ms() - f->demand->asked_ms <= conf_ms("fence_timeout"))
		return f->demand;
	question_answer(f->demand, 409, "asked too long ago");
	f->demand = NULL;
	return false;
}

/* The peer's demand first, then keepalived's last word. */
void
follow_next(struct follow *f)
{
	if (f->moving)
		return;
	if (is_demanded(f)) {
		start(f, HA_ON_PEER);
	} else if (f->stale) {
		f->stale = false;
		start(f, HA_ON_STALE);
	} else if (f->alone) {
		f->alone = false;
		start(f, HA_ON_ISOLATED);
	} else if (f->told != HA_VRRP_NONE) {
		f->vrrp = f->told;
		f->told = HA_VRRP_NONE;
		/* A new word is a new beginning. */
		end_pause(f);
		start(f, ha_event_of(f->vrrp));
	} else if (f->look_now) {
		f->look_now = false;
		start(f, HA_ON_TICK);
	}
}

/* Without a FIFO `voip-failover notify` is told. */
enum ha_vrrp
follow_word(const struct follow *f)
{
	enum ha_vrrp last = pairfile_vrrp();

	return last != HA_VRRP_NONE ? last : f->vrrp;
}

void
follow_anew(struct follow *f)
{
	if (!f->failures)
		return;
	end_pause(f);
	f->look_now = true;
	follow_next(f);
}

static void
on_tick(void *arg)
{
	struct follow *f = arg;
	int doublings = f->failures < PAUSE_MAX ? f->failures : PAUSE_MAX;

	if (f->told == HA_VRRP_NONE && !f->moving)
		f->vrrp = follow_word(f);
	follow_next(f);
	/* It would wait for the lock, and whatever is said meanwhile for it. */
	if (!f->moving && !f->tending)
		start(f, HA_ON_TICK);
	loop_timer_set(f->loop, &f->tick, TICK_MS << doublings);
}

/* --- the service ------------------------------------------------------ */

static void
stop(void *arg)
{
	struct follow *f = arg;

	loop_timer_clear(f->loop, &f->tick);
	loop_timer_clear(f->loop, &f->beat);
	/* What it was at is done to its end, without us. */
	worker_abandon(f->moving);
	worker_abandon(f->witness);
	worker_abandon(f->tending);
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

/*
 * The one before may have been killed: keepalived does not say it again.  After
 * a reboot there is nothing.
 */
static int
remember(struct follow *f, struct verr *e)
{
	enum ha_vrrp last = pairfile_vrrp();
	struct ha_kept kept;

	if (ha_kept_load(&kept, e) == -1)
		return -1;
	f->vrrp = last;
	/* It may have been killed while it held PostgreSQL. */
	if (ha_track_read("frozen") && pg_thaw(e) == 0)
		ha_track("frozen", 0, e);
	if (last != HA_VRRP_NONE && last != kept.vrrp)
		f->told = last;
	return 0;
}

static bool
busy(void *arg)
{
	return ((const struct follow *)arg)->moving;
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
	f->beat = (struct loop_timer){ .fn = follow_on_beat, .arg = f };
	*arg = f;
	if (remember(f, e) == -1 || follow_open_fifo(f, e) == -1)
		return -1;
	loop_timer_set(loop, &f->tick, TICK_MS);
	if (!*conf_str("peer_address") || ha_is_patroni())
		return 0;
	f->http = httpc_new(loop, e);
	if (!f->http ||
	    secret_read_key(f->key, conf_str("peer_key_file"), e) == -1)
		return -1;
	follow_tell_isolated(f, false);
	follow_on_beat(f);
	return 0;
}

const struct service ha_follow = {
	.routes = follow_routes,
	.listen_setting = "peer_listen",
	.start = begin,
	.busy = busy,
	.stop = stop,
};
