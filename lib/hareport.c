#include "hareport.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "haadvice.h"
#include "haduty.h"
#include "hafacts.h"
#include "hamaintenance.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hasalvageset.h"
#include "log.h"
#include "pgreport.h"

static void
tell(struct out *out, const char *kind, const char *name, const char *state,
     const char *detail)
{
	const char *const row[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = kind,
		[PGREPORT_NAME] = name,
		[PGREPORT_STATE] = state,
		[PGREPORT_DETAIL] = detail,
	};

	out_row(out, row);
}

static void
tell_peer(struct out *out, const struct ha_outcome *o)
{
	const struct ha_state *p = &o->peer;
	char timeline[24], lag[24], detail[512];
	const char *row[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = "peer",
		[PGREPORT_NAME] = p->name,
		[PGREPORT_ROLE] = ha_role_word(p->pg),
		[PGREPORT_STATE] = p->kept.fenced ? "fenced"
				   : p->writable  ? "writable"
				   : p->streaming ? "streaming"
						  : "not writable",
		[PGREPORT_LSN] = *p->lsn ? p->lsn : NULL,
		[PGREPORT_DETAIL] = detail,
	};

	if (o->facts.peer == HA_PEER_SILENT) {
		tell(out, "peer", conf_str("peer_address"), "silent",
		     "no answer of its voip-failover");
		return;
	}
	snprintf(timeline, sizeof(timeline), "%" PRId64, p->timeline);
	snprintf(lag, sizeof(lag), "%" PRId64, p->lag_bytes);
	snprintf(detail, sizeof(detail), "keepalived %s%s%s%s",
		 ha_vrrp_word(p->kept.vrrp),
		 p->kept.held ? ", has the address" : "",
		 *p->kept.doing ? ", at work: " : "", p->kept.doing);
	if (p->timeline)
		row[PGREPORT_TIMELINE] = timeline;
	if (p->lag_bytes >= 0 && p->pg == HA_PG_STANDBY)
		row[PGREPORT_LAG_BYTES] = lag;
	out_row(out, row);
}

static void
tell_salvage(const char *path, const char *words, bool waits, void *arg)
{
	const char *name = strrchr(path, '/');
	char detail[PATH_MAX + 320];

	if (!waits)
		return;
	snprintf(detail, sizeof(detail), "%s: voip-cdr-ingest import '%s'",
		 words, path);
	tell(arg, "salvage", name ? name + 1 : path, "waits", detail);
}

static void
tell_service(const char *name, const char *state, void *arg)
{
	tell(arg, "service", name, state, NULL);
}

/* The pair is Patroni's: what it says, and what that means for us. */
static void
report_patroni(struct out *out)
{
	struct ha_kept k = { .held = false };
	struct verr ignored = VERR_INIT;
	const struct ha_row *row;
	struct ha_patroni p;
	char name[64], timeline[24];
	const char *cells[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = "patroni",
		[PGREPORT_NAME] = conf_str("patroni_address"),
		[PGREPORT_ROLE] = p.role,
		[PGREPORT_STATE] = p.state,
	};

	ha_kept_load(&k, &ignored);
	ha_node_name(name, sizeof(name));
	tell(out, "vrrp", name, ha_vrrp_word(k.vrrp),
	     k.held ? "has the address" : "without the address");
	ha_patroni_ask(&p);
	snprintf(timeline, sizeof(timeline), "%" PRId64, p.timeline);
	if (p.timeline)
		cells[PGREPORT_TIMELINE] = timeline;
	if (!p.answers)
		cells[PGREPORT_STATE] = "silent";
	cells[PGREPORT_DETAIL] = !p.answers ? p.why
				 : p.leader ? "has the leader's lock"
					    : "not the leader";
	out_row(out, cells);
	ha_duty_each(tell_service, out);
	row = ha_patroni_plan(&p, k.vrrp == HA_VRRP_MASTER, k.held);
	tell(out, "next", name, ha_action_word(row->action), row->why);
}

void
ha_report(struct out *out)
{
	struct ha_advice advice;
	struct ha_maintenance m;
	struct verr why = VERR_INIT;
	const struct ha_row *row;
	const struct ha_kept *k;
	struct ha_outcome o;

	if (ha_is_patroni()) {
		report_patroni(out);
		return;
	}
	if (!*conf_str("peer_address"))
		return;
	if (ha_facts_gather(HA_ON_TICK, &o, &why) == -1) {
		log_warning("%s", why.msg);
		return;
	}
	k = &o.state.kept;
	tell(out, "vrrp", o.state.name, ha_vrrp_word(k->vrrp),
	     k->held     ? "has the address"
	     : k->wanted ? "has the address, not yet acted upon"
			 : "without the address");
	if (ha_is_maintenance(&m))
		tell(out, "maintenance", m.by, "on", m.reason);
	if (o.facts.mark == HA_TORN)
		tell(out, "marker", o.state.name, "half rewound",
		     "does not start before its data directory is replaced");
	else if (k->fenced)
		tell(out, "marker", o.state.name, "fenced",
		     "does not start as a primary");
	if (*k->doing)
		tell(out, "transition", k->id, k->doing, k->step);
	tell_peer(out, &o);
	if (ha_salvage_list(tell_salvage, out, &why) == -1)
		log_warning("%s", why.msg);
	ha_duty_each(tell_service, out);
	if (*k->refused)
		tell(out, "refused", o.state.name, NULL, k->refused);
	row = ha_plan(&o.facts);
	tell(out, "next", o.state.name, ha_action_word(row->action), row->why);
	ha_advise(&o, &advice);
	tell(out, "pair", o.state.name, advice.word, advice.text);
}
