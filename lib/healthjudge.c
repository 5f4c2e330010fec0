#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "health.h"
#include "pairfile.h"

void
health_take(struct health *h, size_t i, const struct probe_result *r)
{
	const struct probe *p = &probes[i];
	bool failed = r->state == PROBE_FAILED;

	if (h->results[i].at == 0 || h->results[i].state != r->state)
		h->since[i] = r->at;
	h->results[i] = *r;
	h->taken[i]++;
	h->failed[i] += failed;
	h->failures[i] = failed ? h->failures[i] + 1 : 0;
	h->successes[i] = failed ? 0 : h->successes[i] + 1;
	if (h->failures[i] >= p->fall)
		h->faulty[i] = true;
	else if (h->successes[i] >= p->rise)
		h->faulty[i] = false;
	if (r->has_node) {
		h->timeline = r->node.timeline;
		snprintf(h->lsn, sizeof(h->lsn), "%s",
			 r->node.primary ? r->node.lsn : "");
		snprintf(h->history, sizeof(h->history), "%s", r->history);
	}
	if (r->role != PROBE_NO_ROLE && !failed)
		h->role = r->role;
	/* One answer that was late does not change what it is. */
	if (p->run == probe_database && h->faulty[i])
		h->role = PROBE_NO_ROLE;
}

bool
health_is_settled(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (probe_class_of(&probes[i]) == PROBE_FATAL &&
		    !h->faulty[i] && !h->successes[i])
			return false;
	return true;
}

/* Those of PostgreSQL first: they leave no choice. */
static const struct probe *
fault_of(const struct health *h)
{
	const struct probe *fault = NULL;

	for (size_t i = 0; i < probe_count(); i++) {
		if (!h->faulty[i] || probe_class_of(&probes[i]) != PROBE_FATAL)
			continue;
		if (probe_is_database(&probes[i]))
			return &probes[i];
		if (!fault)
			fault = &probes[i];
	}
	return fault;
}

static bool
has_address(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		if (h->results[i].has_address)
			return true;
	return false;
}

void
health_judge(const struct health *h, struct verdict *v)
{
	const struct probe *fault = fault_of(h);
	struct pairfile_peer peer;
	const char *why = "";
	bool database;

	*v = (struct verdict){
		.fit = !fault,
		.has_address = has_address(h),
		.at_ms = verdict_now_ms(),
		.valid_ms = HEALTH_VALID_MS,
	};
	snprintf(v->role, sizeof(v->role), "%s", probe_role_word(h->role));
	if (!fault)
		return;
	database = v->no_database = probe_is_database(fault);
	if (database)
		snprintf(v->role, sizeof(v->role), "%s",
			 probe_role_word(PROBE_NO_ROLE));
	if (*conf_str("peer_address") && (!database || v->has_address)) {
		pairfile_peer(&peer);
		v->held = pairfile_is_worse(
			&peer, !database && h->role == PROBE_PRIMARY,
			database ? h->lsn : "", &why);
		v->fit = v->held;
	}
	snprintf(v->cause, sizeof(v->cause), "%s: %.160s%s%s", fault->name,
		 h->results[fault - probes].detail, v->held ? "; held: " : "",
		 why);
}

const struct pgnode *
health_node(const struct health *h)
{
	for (size_t i = 0; i < probe_count(); i++)
		/* Of a node that was promoted since it is no longer true. */
		if (h->results[i].has_node &&
		    h->role == (h->results[i].node.primary ? PROBE_PRIMARY
							   : PROBE_STANDBY))
			return &h->results[i].node;
	return NULL;
}

/* --- what if ---------------------------------------------------------- */

static const char *
meant(const char *word, size_t len, const char *const (*others)[2])
{
	for (; (*others)[0]; others++)
		if (strlen((*others)[0]) == len &&
		    strncmp((*others)[0], word, len) == 0)
			return (*others)[1];
	return NULL;
}

static const struct probe *
find_probe(const char *word, size_t len)
{
	static const char *const others[][2] = {
		{ "pg", "database" },
		{ "postgresql", "database" },
		{ "sip", "kamailio" },
		{ "vip", "address" },
		{ "spool", "cdr-spool" },
		{ "queue", "cdr-queue" },
		{ "certificate", "certificates" },
		{ "disk", "disks" },
		{ NULL, NULL },
	};
	const char *name = meant(word, len, others);

	for (size_t i = 0; i < probe_count(); i++)
		if (name ? strcmp(probes[i].name, name) == 0
			 : strlen(probes[i].name) == len &&
				    strncmp(probes[i].name, word, len) == 0)
			return &probes[i];
	return NULL;
}

static bool
find_state(const char *word, enum probe_state *state)
{
	static const char *const others[][2] = {
		{ "up", "ok" },
		{ "down", "failed" },
		{ "degraded", "warning" },
		{ NULL, NULL },
	};
	const char *name = meant(word, strlen(word), others);

	for (int s = PROBE_OK; s <= PROBE_FAILED; s++)
		if (strcmp(probe_state_word((enum probe_state)s),
			   name ? name : word) == 0) {
			*state = (enum probe_state)s;
			return true;
		}
	return false;
}

int
health_simulate(struct health *h, const char *assignment, struct verr *e)
{
	size_t len = strcspn(assignment, "=");
	const struct probe *p = find_probe(assignment, len);
	struct probe_result r;
	enum probe_state state;

	if (!p || !assignment[len] || !find_state(assignment + len + 1, &state))
		return verr_set(e, VERR_USAGE,
				"'%s' is no probe with a state\n"
				"hint: database=failed, cdr-spool=warning",
				assignment);
	r = h->results[p - probes];
	if (state == PROBE_FAILED)
		r = (struct probe_result){ .at = r.at, .took_ms = r.took_ms };
	probe_found(&r, state, "simulated");
	/* As if it had been so for long. */
	for (int n = p->fall > p->rise ? p->fall : p->rise; n-- > 0;)
		health_take(h, (size_t)(p - probes), &r);
	return 0;
}
