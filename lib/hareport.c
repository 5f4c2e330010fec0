#include "hareport.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "haadvice.h"
#include "haduty.h"
#include "hafacts.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "hanode.h"
#include "hapatroni.h"
#include "hasalvageset.h"
#include "hatorn.h"
#include "log.h"
#include "pgreport.h"

#define JOURNAL_LINES 1000

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

/* An error in one line: its hint behind it. */
static void
flatten(char *text)
{
	for (; (text = strchr(text, '\n')); text++)
		*text = ';';
}

static void
tell_no_peer(struct out *out, const struct ha_outcome *o)
{
	char detail[sizeof(o->peer_why)];

	snprintf(detail, sizeof(detail), "%s", o->peer_why);
	flatten(detail);
	tell(out, "peer", conf_str("peer_address"),
	     o->facts.peer == HA_PEER_SILENT ? "silent" : "unclear", detail);
}

static void
tell_peer(struct out *out, const struct ha_outcome *o)
{
	const struct ha_state *p = &o->peer;
	char timeline[24], lag[24], detail[512];
	const char *row[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = "peer",
		[PGREPORT_NAME] = p->name,
		[PGREPORT_ROLE] = ha_state_role(p),
		[PGREPORT_STATE] = ha_torn_peer(p)  ? "half rewound"
				   : p->kept.fenced ? "fenced"
				   : p->writable    ? "writable"
				   : p->streaming   ? "streaming"
						    : "not writable",
		[PGREPORT_LSN] = *p->lsn ? p->lsn : NULL,
		[PGREPORT_DETAIL] = detail,
	};

	if (o->facts.peer & HA_PEER_UNHEARD) {
		tell_no_peer(out, o);
		return;
	}
	snprintf(timeline, sizeof(timeline), "%" PRId64, p->timeline);
	snprintf(lag, sizeof(lag), "%" PRId64, p->lag_bytes);
	snprintf(detail, sizeof(detail), "keepalived %s%s%s%s%s%s%s",
		 ha_vrrp_word(p->kept.vrrp),
		 p->kept.held ? ", has the address" : "",
		 p->maintenance ? ", in maintenance" : "",
		 *p->kept.doing ? ", at work: " : "", p->kept.doing,
		 p->pg == HA_PG_HUNG ? ": " : "",
		 p->pg == HA_PG_HUNG ? p->why : "");
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

/* The last thing that was tried, if it failed and nothing was done since. */
struct failure {
	char action[16], why[400];
};

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void
take_line(const char *line, void *arg)
{
	json_t *object = json_loads(line, 0, NULL);
	const char *event = text_of(object, "event");
	struct failure *f = arg;

	if (strcmp(event, "failed") == 0) {
		snprintf(f->action, sizeof(f->action), "%s",
			 text_of(object, "action"));
		snprintf(f->why, sizeof(f->why), "%s at %s: %s", f->action,
			 text_of(object, "at"), text_of(object, "why"));
		flatten(f->why);
	} else if (strcmp(event, "done") == 0) {
		*f->action = '\0';
	}
	json_decref(object);
}

static void
tell_failure(struct out *out, const char *name)
{
	struct failure f = { .action = "" };
	struct verr ignored = VERR_INIT;

	if (ha_journal_read(JOURNAL_LINES, take_line, &f, &ignored) == 0 &&
	    *f.action)
		tell(out, "failed", name, NULL, f.why);
}

/* Nothing can be said of the pair, and why. */
static void
tell_unknown(struct out *out, const struct verr *why)
{
	char name[64], text[sizeof(why->msg)];

	ha_node_name(name, sizeof(name));
	snprintf(text, sizeof(text), "%s", why->msg);
	flatten(text);
	tell(out, "pair", name, "unknown", text);
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
		tell_unknown(out, &why);
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
	tell_failure(out, o.state.name);
	ha_facts_want(&o);
	row = ha_plan(&o.facts);
	tell(out, "next", o.state.name, ha_action_word(row->action), row->why);
	ha_advise(&o, &advice);
	tell(out, "pair", o.state.name, advice.word, advice.text);
}
