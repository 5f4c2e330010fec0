#include "haoperate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "hajournal.h"
#include "hamaintenance.h"
#include "haorder.h"
#include "hapatroni.h"
#include "log.h"
#include "loop.h"
#include "out.h"

#define HOUR_S  INT64_C(3600)
#define FOR_MAX (30 * 24 * HOUR_S)

const char *ha_policy, *ha_for, *ha_reason;

static int
tell_lines(const struct ha_told *told, size_t n, struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s\n", told[i].text);
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : out_verbatim(b.data, b.len, e);
	buf_release(&b);
	return rc;
}

int
ha_tell(const struct ha_told *told, size_t n, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "name", OUT_TEXT },
		{ "role", OUT_TEXT },
		{ "timeline", OUT_NUMBER },
		{ "detail", OUT_TEXT },
	};
	enum out_format format;
	struct out *out;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	if (format == OUT_TABLE)
		return tell_lines(told, n, e);
	out = out_begin(stdout, format, columns, 4, e);
	if (!out)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char timeline[24];
		const char *values[] = { told[i].name, told[i].role,
					 told[i].timeline ? timeline : NULL,
					 told[i].text };

		snprintf(timeline, sizeof(timeline), "%" PRId64,
			 told[i].timeline);
		out_row(out, values);
	}
	return out_end(out, e);
}

/* What came of it, `b` is released. */
static int
say(struct buf *b, const struct ha_state *s, const char *role, int rc,
    struct verr *e)
{
	struct ha_told told = { .role = role, .text = b->data };

	if (s) {
		told.name = s->name;
		told.timeline = s->timeline;
	}
	if (rc == 0)
		rc = buf_failed(b) ? verr_set(e, VERR_RETRY, "out of memory")
				   : ha_tell(&told, 1, e);
	buf_release(b);
	return rc;
}

int
ha_cmd_promote(struct verr *e)
{
	int64_t start = loop_now_ms();
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	bool was_primary;

	if (ha_promote(ha_reason ? ha_reason : "an operator asks", &o, e) == -1)
		return -1;
	was_primary = o.facts.pg == HA_PG_PRIMARY;
	buf_printf(&b, "%s: %s, timeline %" PRId64, o.state.name,
		   was_primary ? "primary already" : "promoted",
		   o.state.timeline);
	if (!was_primary)
		buf_printf(&b, ", all done after %.3f s",
			   (double)(loop_now_ms() - start) / 1000);
	return say(&b, &o.state, "primary", 0, e);
}

int
ha_cmd_rejoin(int argc, const char **argv, struct verr *e)
{
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	bool was_standby;
	int rc;

	(void)argc;
	(void)argv;
	if (ha_policy && strcmp(ha_policy, "rewind") != 0 &&
	    strcmp(ha_policy, "reclone") != 0)
		return verr_set(e, VERR_USAGE,
				"--policy takes rewind or reclone, not '%s'",
				ha_policy);
	rc = ha_come_back(ha_policy, &was_standby, &o, e);
	if (rc == 0)
		buf_printf(&b, "%s: %s, timeline %" PRId64 ", receives from %s",
			   o.state.name,
			   was_standby ? "a standby already" : "standby again",
			   o.state.timeline, o.state.upstream);
	return say(&b, &o.state, "standby", rc, e);
}

int
ha_cmd_fence(int argc, const char **argv, struct verr *e)
{
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	bool by_command;
	int rc;

	(void)argc;
	(void)argv;
	rc = ha_fence_peer(ha_reason ? ha_reason : "an operator asks",
			   &by_command, &o, e);
	if (rc == 0)
		buf_printf(&b, "%s",
			   by_command ? "the fence command says that the peer "
					"is stopped"
				      : "the peer says that it has stopped");
	return say(&b, NULL, NULL, rc, e);
}

int
ha_cmd_unfence(int argc, const char **argv, struct verr *e)
{
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	int rc;

	(void)argc;
	(void)argv;
	rc = ha_trust(ha_reason ? ha_reason : "an operator asks", &o, e);
	if (rc == 0)
		buf_printf(&b,
			   "%s: may start as a primary, unless the peer is one",
			   o.state.name);
	return say(&b, &o.state, NULL, rc, e);
}

/* "90", "30m", "1h", "2d" */
static int
seconds_of(const char *text, int64_t *seconds, struct verr *e)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = {
		{ "", 1 },       { "s", 1 },           { "m", 60 },
		{ "h", HOUR_S }, { "d", 24 * HOUR_S },
	};
	char *end;
	long long n = strtoll(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (end != text && n > 0 && n <= FOR_MAX &&
		    strcmp(end, units[i].unit) == 0)
			*seconds = n * units[i].seconds;
	if (*seconds <= 0 || *seconds > FOR_MAX)
		return verr_set(e, VERR_USAGE,
				"--for takes a time such as 30m, 1h or 2d, at "
				"most 30d, not '%s'",
				text);
	return 0;
}

static int
begin_maintenance(struct verr *e)
{
	struct buf b = BUF_INIT;
	struct ha_kept kept;
	int64_t seconds = 0;
	int rc;

	if (!ha_reason || !*ha_reason)
		return verr_set(e, VERR_USAGE,
				"maintenance on needs --reason: whoever looks "
				"at night wants to know");
	if (seconds_of(ha_for ? ha_for : "1h", &seconds, e) == -1 ||
	    ha_kept_load(&kept, e) == -1 ||
	    ha_maintenance_begin(seconds, ha_reason, e) == -1)
		return -1;
	rc = ha_journal_note(&kept, "maintenance on", ha_reason, e);
	buf_printf(&b,
		   "maintenance for %" PRId64
		   " s: nothing is promoted, stopped or brought back by itself",
		   seconds);
	return say(&b, NULL, NULL, rc, e);
}

int
ha_cmd_maintenance(int argc, const char **argv, struct verr *e)
{
	struct buf b = BUF_INIT;
	struct ha_kept kept;
	int was_so;

	(void)argc;
	if (strcmp(argv[0], "on") == 0)
		return begin_maintenance(e);
	if (strcmp(argv[0], "off") != 0)
		return verr_set(e, VERR_USAGE,
				"maintenance is 'on' or 'off', not '%s'",
				argv[0]);
	was_so = ha_maintenance_end(e);
	if (was_so == -1 || ha_kept_load(&kept, e) == -1 ||
	    (was_so && ha_journal_note(&kept, "maintenance off", "", e) == -1))
		return -1;
	buf_puts(&b, was_so ? "maintenance ends" : "there was no maintenance");
	return say(&b, NULL, NULL, 0, e);
}

/* A start in between would find half of it. */
static bool
is_being_replaced(const struct ha_kept *k)
{
	return strcmp(k->doing, ha_action_word(HA_REJOIN)) == 0 &&
	       strcmp(k->step, "start postgresql") != 0 &&
	       strcmp(k->step, "stream") != 0;
}

int
ha_cmd_may_start(int argc, const char **argv, struct verr *e)
{
	struct ha_outcome o;
	const struct ha_row *row;

	(void)argc;
	(void)argv;
	/* Patroni starts it, and nobody else. */
	if (ha_is_patroni())
		return 0;
	if (ha_facts_gather(HA_ON_TICK, &o, e) == -1)
		return -1;
	if (is_being_replaced(&o.state.kept))
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL may not start here: its data "
				"directory is being replaced\n"
				"hint: 'voip-failover status' tells how far it "
				"is; it is started then");
	if (o.facts.mark == HA_TORN)
		return verr_set(e, VERR_CONFLICT,
				"PostgreSQL may not start here: its data "
				"directory was left half rewound\n"
				"hint: 'voip-failover rejoin --policy "
				"reclone' replaces it");
	/* What may be true of a node that was cut off in the middle. */
	o.facts.held = HA_NOT_HELD;
	o.facts.pause = HA_RUNNING;
	if (o.facts.pg == HA_PG_DOWN_STANDBY)
		return 0;
	row = ha_plan(&o.facts);
	if (row->action == HA_START)
		return 0;
	return verr_set(e, VERR_CONFLICT,
			"PostgreSQL may not start here: %s\n"
			"hint: 'voip-failover explain' tells what is known, "
			"'voip-failover unfence' says that this node is right",
			row->why);
}
