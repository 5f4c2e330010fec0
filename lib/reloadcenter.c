#include "reloadcenter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "eslmessage.h"

#define COLUMNS_MAX 8  /* of a list, that we look at */
#define FIELDS_MAX  64 /* of a list */

/* clang-format off */
static const struct list_kind {
	const char *name;
	const char *columns[COLUMNS_MAX]; /* those of the key, then values */
} kinds[] = {
	[CENTER_QUEUE] = { "queue", { "name", NULL, "strategy",
		"max_wait_time", "max_wait_time_with_no_agent",
		"tier_rules_apply", "discard_abandoned_after", "moh_sound" } },
	[CENTER_AGENT] = { "agent", { "name", NULL, "contact" } },
	[CENTER_TIER] = { "tier", { "queue", "agent", "level", "position" } },
};
/* clang-format on */

/* Rows of one side, sorted by name and agent. */
struct table {
	struct center_row *rows;
	size_t n;
	char *text; /* what the rows point into, or NULL */
};

struct difference {
	struct table wanted, domains;
	struct table has[CENTER_TIER + 1];
	center_put_fn put;
	center_skip_fn skip;
	void *arg;
	struct buf command;
	bool failed;
};

static int
compare(const void *a, const void *b)
{
	const struct center_row *x = a, *y = b;
	int d = x->kind < y->kind ? -1 : x->kind > y->kind;

	if (d == 0)
		d = strcmp(x->name, y->name);
	return d ? d
		 : strcmp(x->agent ? x->agent : "", y->agent ? y->agent : "");
}

static const struct center_row *
find(const struct table *t, const struct center_row *row)
{
	return t->n ? bsearch(row, t->rows, t->n, sizeof(*row), compare) : NULL;
}

/* --- lists ------------------------------------------------------------ */

static size_t
split(char *line, char *fields[FIELDS_MAX])
{
	size_t n = 0;

	while (line && n < FIELDS_MAX)
		fields[n++] = strsep(&line, "|");
	return n;
}

/* Where the columns that we look at are; false when a key's is missing. */
static bool
take_head(const struct list_kind *kind, char *line, size_t *n_fields,
	  size_t at[COLUMNS_MAX])
{
	char *fields[FIELDS_MAX];

	*n_fields = split(line, fields);
	for (size_t c = 0; c < COLUMNS_MAX; c++) {
		at[c] = FIELDS_MAX;
		for (size_t i = 0; i < *n_fields && kind->columns[c]; i++)
			if (strcmp(fields[i], kind->columns[c]) == 0)
				at[c] = i;
	}
	return at[0] < FIELDS_MAX && (!kind->columns[1] || at[1] < FIELDS_MAX);
}

static void
take_row(struct center_row *row, enum center_kind kind, char **fields,
	 const size_t at[COLUMNS_MAX])
{
	*row = (struct center_row){ .kind = kind, .name = fields[at[0]] };
	if (at[1] < FIELDS_MAX)
		row->agent = fields[at[1]];
	for (size_t c = 2; c < COLUMNS_MAX; c++)
		if (at[c] < FIELDS_MAX)
			row->values[c - 2] = fields[at[c]];
}

static int
take_list(struct table *t, enum center_kind kind, const char *text,
	  struct verr *e)
{
	size_t lines = 1, n_fields, at[COLUMNS_MAX];
	char *fields[FIELDS_MAX], *next, *line;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	t->text = strdup(text);
	t->rows = calloc(lines, sizeof(*t->rows));
	if (!t->text || !t->rows)
		return verr_set(e, VERR_RETRY, "out of memory");
	next = t->text;
	line = strsep(&next, "\n");
	if (!take_head(&kinds[kind], line, &n_fields, at))
		return verr_set(e, VERR_INPUT,
				"the list of %ss begins with '%.80s'",
				kinds[kind].name, text);
	while ((line = strsep(&next, "\n")) && strncmp(line, "+OK", 3) != 0)
		/* a name with a '|' makes fields that are none */
		if (split(line, fields) == n_fields)
			take_row(&t->rows[t->n++], kind, fields, at);
	qsort(t->rows, t->n, sizeof(*t->rows), compare);
	return 0;
}

/* --- commands --------------------------------------------------------- */

/* callcenter_config KIND VERB WORD...; NULL ends the words. */
static void
tell(struct difference *d, enum center_kind kind, const char *verb,
     const char *const *words)
{
	struct buf *b = &d->command;
	bool ok = true;

	buf_clear(b);
	buf_printf(b, "callcenter_config %s %s", kinds[kind].name, verb);
	for (; *words && ok; words++) {
		buf_putc(b, ' ');
		ok = !strchr(*words, '|') && esl_word(b, *words);
		if (!ok)
			d->skip(*words, d->arg);
	}
	if (buf_failed(b))
		d->failed = true;
	else if (ok)
		d->put(b->data, d->arg);
}

#define TELL(d, kind, verb, ...) \
	tell(d, kind, verb, (const char *const[]){ __VA_ARGS__, NULL })

static bool
is_ours(const struct difference *d, const char *name)
{
	const char *at = strrchr(name, '@');
	struct center_row row = {
		CENTER_DOMAIN, at ? at + 1 : "", NULL, { 0 }
	};

	return at && find(&d->domains, &row);
}

static bool
differ(const char *wanted, const char *has)
{
	return wanted && has && strcmp(wanted, has) != 0;
}

static void
change_queue(struct difference *d, const struct center_row *row,
	     const struct center_row *has)
{
	bool same = true;

	for (size_t i = 0; has && i < 6; i++)
		same = same && !differ(row->values[i], has->values[i]);
	if (!has)
		TELL(d, CENTER_QUEUE, "load", row->name);
	else if (!same)
		TELL(d, CENTER_QUEUE, "reload", row->name);
}

static void
change_agent(struct difference *d, const struct center_row *row,
	     const struct center_row *has)
{
	if (!has)
		TELL(d, CENTER_AGENT, "add", row->name, "callback");
	if (!has || differ(row->values[0], has->values[0]))
		TELL(d, CENTER_AGENT, "set contact", row->name, row->values[0]);
}

static void
change_tier(struct difference *d, const struct center_row *row,
	    const struct center_row *has)
{
	if (!has) {
		TELL(d, CENTER_TIER, "add", row->name, row->agent,
		     row->values[0], row->values[1]);
		return;
	}
	if (differ(row->values[0], has->values[0]))
		TELL(d, CENTER_TIER, "set level", row->name, row->agent,
		     row->values[0]);
	if (differ(row->values[1], has->values[1]))
		TELL(d, CENTER_TIER, "set position", row->name, row->agent,
		     row->values[1]);
}

static void
remove_row(struct difference *d, const struct center_row *row)
{
	if (row->kind == CENTER_QUEUE)
		TELL(d, CENTER_QUEUE, "unload", row->name);
	else if (row->kind == CENTER_AGENT)
		TELL(d, CENTER_AGENT, "del", row->name);
	else
		TELL(d, CENTER_TIER, "del", row->name, row->agent);
}

/* Tiers go first and come last, since they name the others. */
static void
find_commands(struct difference *d)
{
	static void (*const change[])(struct difference *,
				      const struct center_row *,
				      const struct center_row *) = {
		[CENTER_QUEUE] = change_queue,
		[CENTER_AGENT] = change_agent,
		[CENTER_TIER] = change_tier,
	};

	for (int kind = CENTER_TIER; kind >= CENTER_QUEUE; kind--) {
		const struct table *has = &d->has[kind];

		for (size_t i = 0; i < has->n; i++)
			if (is_ours(d, has->rows[i].name) &&
			    !find(&d->wanted, &has->rows[i]))
				remove_row(d, &has->rows[i]);
	}
	for (size_t i = 0; i < d->wanted.n; i++) {
		const struct center_row *row = &d->wanted.rows[i];

		if (row->kind != CENTER_DOMAIN)
			change[row->kind](d, row,
					  find(&d->has[row->kind], row));
	}
}

int
center_difference(const struct center_row *rows, size_t n,
		  const struct center_lists *lists, center_put_fn put,
		  center_skip_fn skip, void *arg, struct verr *e)
{
	struct difference d = {
		.put = put, .skip = skip, .arg = arg, .command = BUF_INIT
	};
	int rc = -1;

	d.wanted.rows = calloc(n + 1, sizeof(*rows));
	if (!d.wanted.rows) {
		verr_set(e, VERR_RETRY, "out of memory");
		goto out;
	}
	if (n > 0)
		memcpy(d.wanted.rows, rows, n * sizeof(*rows));
	qsort(d.wanted.rows, n, sizeof(*rows), compare);
	d.wanted.n = n;
	d.domains.rows = d.wanted.rows; /* the first kind */
	while (d.domains.n < n &&
	       d.wanted.rows[d.domains.n].kind == CENTER_DOMAIN)
		d.domains.n++;
	if (take_list(&d.has[CENTER_QUEUE], CENTER_QUEUE, lists->queues, e) ==
		    -1 ||
	    take_list(&d.has[CENTER_AGENT], CENTER_AGENT, lists->agents, e) ==
		    -1 ||
	    take_list(&d.has[CENTER_TIER], CENTER_TIER, lists->tiers, e) == -1)
		goto out;
	find_commands(&d);
	rc = d.failed ? verr_set(e, VERR_RETRY, "out of memory") : 0;
out:
	for (int kind = CENTER_QUEUE; kind <= CENTER_TIER; kind++) {
		free(d.has[kind].text);
		free(d.has[kind].rows);
	}
	free(d.wanted.rows);
	buf_release(&d.command);
	return rc;
}
