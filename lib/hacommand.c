#include "hacommand.h"

#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hajournal.h"
#include "haorder.h"
#include "hasteps.h"
#include "out.h"

#define LINES 1000

int ha_dot;

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

int
ha_cmd_notify(int argc, const char **argv, struct verr *e)
{
	static const enum ha_event events[HA_VRRPS] = {
		[HA_VRRP_MASTER] = HA_ON_MASTER,
		[HA_VRRP_BACKUP] = HA_ON_BACKUP,
		[HA_VRRP_FAULT] = HA_ON_FAULT,
		[HA_VRRP_STOP] = HA_ON_STOP,
	};
	enum ha_vrrp vrrp = ha_vrrp_from(argv[2]);
	struct ha_outcome o;

	(void)argc;
	if (strcmp(argv[0], "INSTANCE") != 0)
		return 0;
	if (vrrp == HA_VRRP_NONE)
		return verr_set(e, VERR_USAGE,
				"'%s' is no state of keepalived\n"
				"hint: MASTER, BACKUP, FAULT or STOP",
				argv[2]);
	return ha_transition(events[vrrp], vrrp, false, &o, e);
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

int
ha_cmd_explain(int argc, const char **argv, struct verr *e)
{
	static const enum ha_event events[] = { HA_ON_TICK, HA_ON_MASTER,
						HA_ON_BACKUP, HA_ON_FAULT };
	struct ha_outcome o;
	struct buf b = BUF_INIT;
	int rc = 0;

	(void)argc;
	(void)argv;
	if (ha_facts_gather(HA_ON_TICK, &o, e) == -1)
		return -1;
	const unsigned values[HA_FACTS] = {
		o.facts.event,   o.facts.pause, o.facts.held,
		o.facts.pg,      o.facts.mark,  o.facts.peer,
		o.facts.witness, o.facts.fence, o.facts.policy,
	};
	for (size_t i = 1; i < HA_FACTS && rc == 0; i++) {
		buf_printf(&b, "%-11s %s", ha_fact_name(i),
			   ha_value_name(i, bit_of(values[i])));
		rc = line(&b, e);
	}
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]) && rc == 0;
	     i++) {
		const struct ha_row *row;

		o.facts.event = events[i];
		row = ha_plan(&o.facts);
		buf_printf(&b, "at %-8s %s: %s",
			   ha_value_name(0, bit_of(events[i])),
			   ha_action_word(row->action), row->why);
		rc = line(&b, e);
	}
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

static void
print_line(const char *text, void *arg)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, text);
	line(&b, arg);
	buf_release(&b);
}

int
ha_cmd_history(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return ha_journal_read(LINES, print_line, e, e);
}
