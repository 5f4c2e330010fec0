/* voip-ext apply. */
#include <stdio.h>
#include <string.h>

#include "bulk.h"
#include "extcommand.h"
#include "opt.h"

/* --- what would be done ----------------------------------------------- */

struct plan {
	struct out *out; /* NULL: lines for people */
	char key[1200];  /* of the row that the last line was of */
	long rows;
};

enum { ACTION, ENTITY, KEY, FIELD, OLD, NEW, COLUMNS };

static const struct out_column plan_columns[COLUMNS] = {
	{ "action", OUT_TEXT }, { "entity", OUT_TEXT }, { "key", OUT_TEXT },
	{ "field", OUT_TEXT },  { "old", OUT_TEXT },    { "new", OUT_TEXT },
};

static char
sign_of(const char *action)
{
	if (strcmp(action, "add") == 0)
		return '+';
	return strcmp(action, "remove") == 0 ? '-' : '~';
}

static void
plan_line(struct plan *plan, const char *const *v)
{
	struct buf line = BUF_INIT;
	char row[sizeof(plan->key)], sign = sign_of(v[ACTION]);

	snprintf(row, sizeof(row), "%c %s %s '%s'", sign, v[ACTION], v[ENTITY],
		 v[KEY]);
	if (strcmp(row, plan->key) != 0)
		out_line(sign, row);
	snprintf(plan->key, sizeof(plan->key), "%s", row);
	if (v[FIELD]) {
		buf_printf(&line, "%c     %s: ", sign, v[FIELD]);
		if (sign == '~')
			buf_printf(&line, "%s%s%s -> ", v[OLD] ? "'" : "",
				   v[OLD] ? v[OLD] : "empty",
				   v[OLD] ? "'" : "");
		buf_printf(&line, "%s%s%s", v[NEW] ? "'" : "",
			   v[NEW] ? v[NEW] : "empty", v[NEW] ? "'" : "");
		out_line(sign, line.data);
	}
	buf_release(&line);
}

static int
plan_row(const char *const *values, int n, void *arg, struct verr *e)
{
	struct plan *plan = arg;

	(void)n;
	(void)e;
	plan->rows++;
	if (plan->out)
		out_row(plan->out, values);
	else
		plan_line(plan, values);
	return 0;
}

/* --- what was done ---------------------------------------------------- */

static void
tell_people(const struct ext_options *o, const struct bulk_counts *n)
{
	struct buf line = BUF_INIT;
	const char *to = o->dry_run ? "to " : "";

	if (n->added + n->changed + n->removed + n->rejected == 0)
		buf_printf(&line, "nothing to change (%ld row%s)", n->unchanged,
			   n->unchanged == 1 ? "" : "s");
	else if (o->dry_run)
		buf_printf(&line,
			   "%ld %sadd, %ld %schange, %ld %sremove, %ld"
			   " unchanged",
			   n->added, to, n->changed, to, n->removed, to,
			   n->unchanged);
	else
		buf_printf(&line,
			   "%ld added, %ld changed, %ld removed, %ld unchanged",
			   n->added, n->changed, n->removed, n->unchanged);
	if (n->rejected)
		buf_printf(&line, ", %ld rejected", n->rejected);
	out_line(' ', line.data);
	buf_release(&line);
}

static int
tell_counts(const struct ext_options *o, const struct bulk_counts *n,
	    struct verr *e)
{
	static const struct out_column columns[] = {
		{ "added", OUT_NUMBER },    { "changed", OUT_NUMBER },
		{ "removed", OUT_NUMBER },  { "unchanged", OUT_NUMBER },
		{ "rejected", OUT_NUMBER },
	};
	const long counts[] = { n->added, n->changed, n->removed, n->unchanged,
				n->rejected };
	char text[5][24];
	struct out *out;

	if (o->format == OUT_TABLE) {
		tell_people(o, n);
		return 0;
	}
	if (o->dry_run)
		return 0;
	out = out_begin(stdout, o->format, columns, 5, e);
	if (!out)
		return -1;
	for (size_t i = 0; i < 5; i++)
		snprintf(text[i], sizeof(text[i]), "%ld", counts[i]);
	out_row(out, (const char *const[]){ text[0], text[1], text[2], text[3],
					    text[4] });
	return out_end(out, e);
}

/* --- the verb --------------------------------------------------------- */

static int
check_options(const struct ext_command *c, struct verr *e)
{
	const struct ext_options *o = c->options;

	if (c->argc != 1)
		return verr_set(e, VERR_USAGE,
				"apply takes one file, - for "
				"standard input");
	if (o->partial != (o->rejects != NULL))
		return verr_set(e, VERR_USAGE,
				"--partial and --rejects go together\n"
				"hint: --partial --rejects FILE");
	if (o->partial && o->prune)
		return verr_set(e, VERR_USAGE,
				"--prune and --partial exclude each other: a "
				"line that is wrong would be missing");
	if (o->all_domains && (!o->prune || o->domain))
		return verr_set(e, VERR_USAGE,
				"--all-domains is for --prune without "
				"--domain");
	return 0;
}

int
ext_apply(struct db *db, struct ext_command *c, struct verr *e)
{
	const struct ext_options *o = c->options;
	struct bulk_options bulk = {
		.only = c->entity_given ? c->entity : NULL,
		.domain = o->domain,
		.prune = o->prune,
		.all_domains = o->all_domains,
		.rejects = o->rejects,
		.command = c->words,
		.dry_run = o->dry_run,
	};
	struct plan plan = { .out = NULL };
	struct bulk_counts counts;
	struct verr ignored = VERR_INIT;
	int rc;

	if (check_options(c, e) == -1)
		return -1;
	bulk.path = c->argv[0];
	if (o->dry_run && o->format != OUT_TABLE) {
		plan.out =
			out_begin(stdout, o->format, plan_columns, COLUMNS, e);
		if (!plan.out)
			return -1;
	}
	rc = bulk_apply(db, &bulk, &counts, plan_row, &plan, opt_complain, e);
	if (out_end(plan.out, rc == 0 ? e : &ignored) == -1)
		rc = -1;
	if (rc == 0 || counts.taken)
		return tell_counts(o, &counts, rc == 0 ? e : &ignored) == -1
			       ? -1
			       : rc;
	return rc;
}
