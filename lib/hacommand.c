#include "hacommand.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "haadvice.h"
#include "haorder.h"
#include "haresume.h"
#include "hasteps.h"
#include "out.h"

int ha_dot, ha_steps_wanted;

static int
line(struct buf *b, struct verr *e)
{
	int rc;

	buf_putc(b, '\n');
	rc = buf_failed(b) ? verr_set(e, VERR_RETRY, "out of memory")
			   : out_verbatim(b->data, b->len, e);
	buf_clear(b);
	return rc;
}

/* --- decisions -------------------------------------------------------- */

static int
tell(const struct ha_outcome *o, struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	ha_state_write(&b, &o->state);
	rc = line(&b, e);
	buf_release(&b);
	return rc;
}

int
ha_cmd_demote(int argc, const char **argv, struct verr *e)
{
	struct ha_outcome o;

	(void)argc;
	(void)argv;
	if (ha_demote("an operator asks", &o, e) == -1)
		return -1;
	return tell(&o, e);
}

/* --- telling ---------------------------------------------------------- */

static size_t
bit_of(unsigned value)
{
	size_t bit = 0;

	while (value >>= 1)
		bit++;
	return bit;
}

/* For people a line each, else rows. */
static void
explain_row(struct out *out, struct buf *b, const char *kind, const char *name,
	    const char *value, const char *why)
{
	const char *const row[] = { kind, name, value, why };

	if (out)
		out_row(out, row);
	else if (strcmp(kind, "fact") == 0)
		buf_printf(b, "%-11s %s%s%s\n", name, value, why ? ": " : "",
			   why ? why : "");
	else if (strcmp(kind, "event") == 0)
		buf_printf(b, "at %-8s %s: %s\n", name, value, why);
	else
		buf_printf(b, "%s: %s\n", value, why);
}

/* The value of a fact, and more where the word alone misleads. */
static const char *
value_of(const struct ha_outcome *o, size_t fact, unsigned value)
{
	if (fact == HA_FACT_PG && value == HA_PG_HUNG)
		return ha_state_role(&o->state);
	if (fact == HA_FACT_WITNESS && value == HA_WITNESS_NONE &&
	    *conf_str("witnesses"))
		return "not asked";
	return ha_value_name(fact, bit_of(value));
}

static void
explain(struct ha_outcome *o, struct out *out, struct buf *b)
{
	static const enum ha_event events[] = { HA_ON_TICK, HA_ON_MASTER,
						HA_ON_BACKUP, HA_ON_FAULT };
	const unsigned values[HA_FACTS] = {
		o->facts.event,   o->facts.pause, o->facts.held,
		o->facts.pg,      o->facts.mark,  o->facts.peer,
		o->facts.witness, o->facts.fence, o->facts.policy,
	};
	struct ha_advice advice;

	for (size_t i = 1; i < HA_FACTS; i++)
		explain_row(out, b, "fact", ha_fact_name(i),
			    value_of(o, i, values[i]),
			    i == HA_FACT_PEER && *o->peer_why  ? o->peer_why
			    : i == HA_FACT_PG && *o->state.why ? o->state.why
							       : NULL);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct ha_outcome then = *o;
		const struct ha_row *row;

		then.facts.event = events[i];
		ha_facts_want(&then);
		row = ha_plan(&then.facts);
		explain_row(out, b, "event",
			    ha_value_name(HA_FACT_EVENT, bit_of(events[i])),
			    ha_action_word(row->action), row->why);
	}
	ha_advise(o, &advice);
	explain_row(out, b, "pair", o->state.name, advice.word, advice.text);
}

int
ha_cmd_explain(int argc, const char **argv, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "kind", OUT_TEXT },
		{ "name", OUT_TEXT },
		{ "value", OUT_TEXT },
		{ "why", OUT_TEXT },
	};
	enum out_format format;
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	struct out *out = NULL;
	int rc = 0;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == -1 ||
	    ha_facts_gather(HA_ON_TICK, &o, e) == -1)
		return -1;
	if (format != OUT_TABLE) {
		out = out_begin(stdout, format, columns, 4, e);
		if (!out)
			return -1;
	}
	explain(&o, out, &b);
	if (out)
		rc = out_end(out, e);
	else
		rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
				    : out_verbatim(b.data, b.len, e);
	buf_release(&b);
	return rc;
}

/* "backup|fault", or nothing for whatever. */
static void
add_values(struct buf *b, size_t fact, unsigned set)
{
	const char *between = "", *name;
	size_t all = 0, in = 0;

	for (size_t bit = 0; ha_value_name(fact, bit); bit++) {
		all++;
		in += (set >> bit) & 1;
	}
	if (in == all)
		return;
	for (size_t bit = 0; (name = ha_value_name(fact, bit)); bit++)
		if ((set >> bit) & 1) {
			buf_printf(b, "%s%s", between, name);
			between = "|";
		}
}

/* A chain of questions: each row is asked when those before it do not fit. */
static int
draw(struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;
	size_t n = 0;

	buf_puts(&b, "digraph failover {\n  node [shape=box];");
	for (const struct ha_row *row = ha_rows; row->why; row++, n++) {
		const char *between = "";

		buf_printf(&b, "\n  q%zu [label=\"", n);
		for (size_t i = 0; i < HA_FACTS; i++) {
			size_t before = b.len;

			add_values(&b, i, row->facts[i]);
			if (b.len == before)
				continue;
			buf_printf(&b, " (%s)\\n", ha_fact_name(i));
			between = "x";
		}
		if (!*between)
			buf_puts(&b, "otherwise");
		buf_printf(&b,
			   "\"];\n  a%zu [shape=ellipse,label=\"%s\"];"
			   "\n  q%zu -> a%zu [label=\"%s\"];",
			   n, ha_action_word(row->action), n, n, row->why);
		if (row[1].why)
			buf_printf(&b, "\n  q%zu -> q%zu [style=dashed];", n,
				   n + 1);
	}
	buf_puts(&b, "\n}");
	rc = line(&b, e);
	buf_release(&b);
	return rc;
}

static int
print_steps(enum out_format format, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "action", OUT_TEXT },
		{ "step", OUT_TEXT },
		{ "when cut off", OUT_TEXT },
	};
	struct out *o = out_begin(stdout, format, columns, 3, e);

	if (!o)
		return -1;
	for (const struct ha_step *s = ha_steps; s->step; s++) {
		const char *const row[] = { ha_action_word(s->action), s->step,
					    s->then };

		out_row(o, row);
	}
	return out_end(o, e);
}

int
ha_cmd_table(int argc, const char **argv, struct verr *e)
{
	struct out_column columns[HA_FACTS + 2];
	struct buf cells[HA_FACTS];
	const char *values[HA_FACTS + 2];
	enum out_format format;
	struct out *o;

	(void)argc;
	(void)argv;
	if (ha_dot)
		return draw(e);
	if (out_format_from_options(&format, e) == -1)
		return -1;
	if (ha_steps_wanted)
		return print_steps(format, e);
	for (size_t i = 0; i < HA_FACTS; i++) {
		columns[i + 1] =
			(struct out_column){ ha_fact_name(i), OUT_TEXT };
		cells[i] = BUF_INIT;
	}
	columns[0] = (struct out_column){ "action", OUT_TEXT };
	columns[HA_FACTS + 1] = (struct out_column){ "why", OUT_TEXT };
	o = out_begin(stdout, format, columns, HA_FACTS + 2, e);
	if (!o)
		return -1;
	for (const struct ha_row *row = ha_rows; row->why; row++) {
		values[0] = ha_action_word(row->action);
		for (size_t i = 0; i < HA_FACTS; i++) {
			buf_clear(&cells[i]);
			add_values(&cells[i], i, row->facts[i]);
			values[i + 1] = cells[i].len ? cells[i].data : NULL;
		}
		values[HA_FACTS + 1] = row->why;
		out_row(o, values);
	}
	for (size_t i = 0; i < HA_FACTS; i++)
		buf_release(&cells[i]);
	return out_end(o, e);
}
