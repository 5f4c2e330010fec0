#include "hafacts.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hamaintenance.h"
#include "hapeer.h"
#include "hastray.h"
#include "hatorn.h"
#include "log.h"
#include "pairfile.h"
#include "verdict.h"
#include "witness.h"

#define LOOK_MS       INT64_C(2000)
#define SHORT_LOOK_MS INT64_C(100)
#define GLANCE_MS     INT64_C(20) /* voip-healthd has looked */
/* From the facts to the deed: two small files are made durable. */
#define FRESH_MS INT64_C(1000)

/*
 * Whoever gets no answer at all takes the peer for dead, as its witnesses say.
 * One that is answered with another key's word, with a refusal or with rubbish
 * knows that somebody lives there, who may write and does not obey.
 */
static enum ha_peer
look_at_peer(struct ha_outcome *o)
{
	struct verr why = VERR_INIT;

	if (!*conf_str("peer_address"))
		return HA_PEER_NONE;
	if (ha_peer_ask(HA_ASK_STATE, conf_ms("peer_timeout"), &o->peer,
			&why) == -1) {
		log_warning("peer: %s", why.msg);
		snprintf(o->peer_why, sizeof(o->peer_why), "%.299s", why.msg);
		return why.kind == VERR_RETRY ? HA_PEER_SILENT
					      : HA_PEER_UNCLEAR;
	}
	return ha_peer_of(&o->state, &o->peer);
}

/*
 * Two questions in vain, each with its whole time and the last one just over,
 * are a peer that is silent.  Less may be our own standing still: it gets the
 * rest of the time of one, and never none.
 */
static bool
is_silent(int64_t waited_ms)
{
	int64_t each = conf_ms("peer_timeout"), rest = each - waited_ms;
	struct verr why = VERR_INIT;
	struct ha_state ignored;

	if (waited_ms == 0 || waited_ms >= HA_PEER_SILENCE * each)
		return waited_ms > 0;
	return ha_peer_ask(HA_ASK_LEASE, rest < each / 4 ? each / 4 : rest,
			   &ignored, &why) == -1 &&
	       why.kind == VERR_RETRY;
}

static enum ha_witness
look_at_witnesses(void)
{
	const char *list = conf_str("witnesses");
	struct verr why = VERR_INIT;
	int seen;

	if (!*list)
		return HA_WITNESS_NONE;
	seen = witness_ask(list, conf_ms("witness_timeout"), &why);
	if (seen == -1)
		log_warning("witnesses: %s", why.msg);
	return seen == 1 ? HA_WITNESS_SEEN : HA_WITNESS_LOST;
}

/* One that streams is on the right way, and so is one that nobody leads. */
static bool
may_be_stray(const struct ha_facts *f, const struct ha_state *s)
{
	return f->event == HA_ON_TICK && f->held == HA_NOT_HELD &&
	       s->pg == HA_PG_STANDBY && !s->streaming &&
	       (f->peer & (HA_PEER_PRIMARY | HA_PEER_NEWER));
}

static enum ha_mark
mark_of(const struct ha_state *s)
{
	const struct ha_kept *k = &s->kept;

	if ((s->pg & (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)) &&
	    ha_torn_is(k))
		return HA_TORN;
	if (k->fenced)
		return HA_FENCED;
	return k->trusted ? HA_TRUSTED : HA_CLEAR;
}

/*
 * Whoever holds the address stops when it is lost, whether its server answers
 * or hangs, and does nothing about one that hangs while it is not: no long
 * look, behind which the next word of keepalived would wait.
 */
static int64_t
patience(enum ha_event event, const struct ha_kept *k)
{
	struct verr ignored = VERR_INIT;
	struct verdict v;

	if (!k->held || event == HA_ON_MASTER)
		return LOOK_MS;
	if (event != HA_ON_TICK && verdict_read(&v, &ignored) == 0 && !v.fit)
		return GLANCE_MS;
	return SHORT_LOOK_MS;
}

static int
gather(enum ha_event event, bool brief, int64_t waited_ms, struct ha_outcome *o,
       struct verr *e)
{
	struct ha_facts *f = &o->facts;
	bool available =
		strcmp(conf_str("failover_policy"), "availability") == 0;

	memset(o, 0, sizeof(*o));
	if (ha_kept_load(&o->state.kept, e) == -1 ||
	    ha_state_look(&o->state,
			  brief ? patience(event, &o->state.kept) : LOOK_MS,
			  e) == -1)
		return -1;
	o->state.maintenance = ha_is_maintenance(NULL);
	*f = (struct ha_facts){
		.event = event,
		.pause = o->state.maintenance ? HA_MAINTENANCE : HA_RUNNING,
		.held = o->state.kept.held ? HA_HELD : HA_NOT_HELD,
		.pg = o->state.pg,
		.mark = mark_of(&o->state),
		.peer = HA_PEER_SILENT,
		.witness = HA_WITNESS_NONE,
		.fence = *conf_str("fence_command") ? HA_FENCE_SET
						    : HA_FENCE_NONE,
		.policy = available ? HA_AVAILABILITY : HA_CONSISTENCY,
	};
	/* Whoever must stop does not wait for others' words; an operator does,
	 * and what he may do hangs on them. */
	if (brief && ha_plan(f)->action == HA_DEMOTE)
		return 0;
	o->asked_ms = verdict_now_ms();
	if (is_silent(waited_ms))
		snprintf(o->peer_why, sizeof(o->peer_why),
			 "no answer from '%.250s'", conf_str("peer_address"));
	else
		f->peer = look_at_peer(o);
	if (f->peer & HA_PEER_UNHEARD)
		f->witness = look_at_witnesses();
	if (may_be_stray(f, &o->state) && ha_is_stray(&o->state))
		f->pg = HA_PG_STRAY;
	return 0;
}

int
ha_facts_gather(enum ha_event event, struct ha_outcome *o, struct verr *e)
{
	return gather(event, false, 0, o, e);
}

int
ha_facts_gather_now(enum ha_event event, int64_t waited_ms,
		    struct ha_outcome *o, struct verr *e)
{
	return gather(event, true, waited_ms, o, e);
}

static const enum ha_event events[HA_VRRPS] = {
	[HA_VRRP_NONE] = HA_ON_TICK,     [HA_VRRP_MASTER] = HA_ON_MASTER,
	[HA_VRRP_BACKUP] = HA_ON_BACKUP, [HA_VRRP_FAULT] = HA_ON_FAULT,
	[HA_VRRP_STOP] = HA_ON_STOP,
};

enum ha_event
ha_event_of(enum ha_vrrp vrrp)
{
	return events[vrrp];
}

/*
 * Keepalived says a thing once.  What could not be done then, or was cut off,
 * is done as soon as it can be, as long as that is its last word.
 */
void
ha_facts_want(struct ha_outcome *o)
{
	struct ha_facts *f = &o->facts;

	if (f->event == HA_ON_TICK && f->held == HA_HELD &&
	    o->state.kept.vrrp != HA_VRRP_MASTER)
		f->event = ha_event_of(o->state.kept.vrrp);
	if (f->event == HA_ON_TICK && o->state.kept.wanted &&
	    f->held == HA_NOT_HELD &&
	    (f->pg == HA_PG_STANDBY || f->pg == HA_PG_PRIMARY) &&
	    pairfile_vrrp() == HA_VRRP_MASTER)
		f->event = HA_ON_MASTER;
}

bool
ha_facts_are_fresh(const struct ha_outcome *o)
{
	int64_t age = verdict_now_ms() - o->asked_ms;

	/* Both clocks ran: a deadline that has passed is no standstill. */
	if (o->facts.peer == HA_PEER_NONE)
		return true;
	if (o->row && o->row->action == HA_FENCE)
		age -= conf_ms("fence_timeout");
	return age <=
	       FRESH_MS + conf_ms("peer_timeout") + conf_ms("witness_timeout");
}
