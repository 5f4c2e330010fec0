#include "hapatroni.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "haduty.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "hanode.h"
#include "httpc.h"
#include "jsonmember.h"

#define LOOK_MS  INT64_C(400)
#define ASK_MS   INT64_C(2000)
#define BODY_MAX ((size_t)65536)

bool
ha_is_patroni(void)
{
	return strcmp(conf_str("ha_engine"), "patroni") == 0;
}

/* --- asking ----------------------------------------------------------- */

void
ha_patroni_ask(struct ha_patroni *p)
{
	const char *address = conf_str("patroni_address");
	struct buf body = BUF_INIT;
	struct verr e = VERR_INIT;
	json_t *object;
	long status = 0;

	memset(p, 0, sizeof(*p));
	if (httpc_get(address, "/primary", ASK_MS, &status, NULL, BODY_MAX,
		      &e) == -1) {
		snprintf(p->why, sizeof(p->why), "%.255s", e.msg);
		return;
	}
	p->answers = true;
	p->leader = status == 200;
	/* 200 whatever the node is; without it the lock is still known. */
	if (httpc_get(address, "/patroni", ASK_MS, &status, &body, BODY_MAX,
		      &e) == 0) {
		object = json_loads(body.data, 0, NULL);
		jsonmember_take_string(p->role, sizeof(p->role), object,
				       "role");
		jsonmember_take_string(p->state, sizeof(p->state), object,
				       "state");
		p->timeline =
			json_integer_value(json_object_get(object, "timeline"));
		p->paused = json_is_true(json_object_get(object, "pause"));
		json_decref(object);
	}
	buf_release(&body);
}

int
ha_patroni_refuses(const char *command, const char *instead, struct verr *e)
{
	if (!ha_is_patroni())
		return 0;
	return verr_set(e, VERR_CONFLICT,
			"no %s: ha_engine is patroni, which decides that\n"
			"hint: patronictl %s",
			command, instead);
}

/* --- deciding --------------------------------------------------------- */

static const struct ha_row rows[] = {
	{ .action = HA_HOLD,
	  .why = "Patroni's leader, and the address is ours" },
	{ .action = HA_WAIT, .why = "Patroni's leader: the address will come" },
	{ .action = HA_DEMOTE,
	  .why = "not Patroni's leader any more: the services of a primary "
		 "stop" },
	{ .action = HA_NOTHING, .why = "not Patroni's leader" },
};

const struct ha_row *
ha_patroni_plan(const struct ha_patroni *p, bool master, bool held)
{
	if (p->leader && master)
		return &rows[0];
	if (held)
		return &rows[2];
	return p->leader ? &rows[1] : &rows[3];
}

/* The services only: `held` says which. */
static int
change(struct ha_outcome *o, bool held, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;
	struct ha_journal j;
	int rc;

	k->held = held;
	if (ha_journal_begin(&j, k, o->row->action, o->row->why, e) == -1 ||
	    ha_journal_step(&j, held ? "start services" : "stop services", e) ==
		    -1)
		return -1;
	rc = ha_duty_take(held ? HA_DUTY_PRIMARY : HA_DUTY_NONE, e);
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}

static int
act(struct ha_outcome *o, const struct ha_patroni *p, struct verr *e)
{
	struct ha_kept *k = &o->state.kept;

	/* Keepalived: FAULT on whoever is not the leader. */
	if (ha_track("isolated", !p->leader, e) == -1 ||
	    ha_track("timeline", 0, e) == -1)
		return -1;
	o->row = ha_patroni_plan(p, k->vrrp == HA_VRRP_MASTER, k->held);
	if (o->row->action == HA_HOLD && !k->held)
		return change(o, true, e);
	if (o->row->action == HA_DEMOTE)
		return change(o, false, e);
	return 0;
}

int
ha_patroni_transition(enum ha_event event, enum ha_vrrp vrrp,
		      struct ha_outcome *o, struct verr *e)
{
	int lock = ha_lock(HA_LOCK_MS, e), rc;
	struct ha_patroni p;

	memset(o, 0, sizeof(*o));
	if (lock == -1)
		return -1;
	ha_patroni_ask(&p);
	rc = ha_kept_load(&o->state.kept, e);
	if (rc == 0)
		rc = ha_state_look(&o->state, LOOK_MS, e);
	o->state.maintenance = ha_is_maintenance(NULL);
	o->facts.event = event;
	/* What was cut off is decided anew: haduty knows what runs. */
	*o->state.kept.doing = *o->state.kept.step = '\0';
	o->state.kept.fenced = o->state.kept.wanted = false;
	if (vrrp != HA_VRRP_NONE)
		o->state.kept.vrrp = vrrp;
	if (rc == 0)
		rc = ha_kept_save(&o->state.kept, e);
	if (rc == 0 && !o->state.maintenance)
		rc = act(o, &p, e);
	close(lock);
	return rc;
}
