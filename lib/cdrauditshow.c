#include "cdrauditshow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdraudit.h"
#include "log.h"

#define DAY 10 /* "2026-11-21" */

struct sum {
	char node[256];
	char day[DAY + 1];
	size_t places[CDRAUDIT_PLACES];
};

struct show {
	struct out *out;
	bool missing;
	struct sum *sums;
	size_t count, size;
	size_t missed;
	bool failed; /* no memory */
};

/* Few: a node or two, some days. */
static struct sum *
sum_of(struct show *s, const struct cdraudit_leg *leg)
{
	struct sum *more;

	for (size_t i = s->count; i-- > 0;)
		if (strcmp(s->sums[i].node, leg->node) == 0 &&
		    strncmp(s->sums[i].day, leg->start_time, DAY) == 0)
			return &s->sums[i];
	if (s->count == s->size) {
		s->size = s->size ? s->size * 2 : 16;
		more = realloc(s->sums, s->size * sizeof(*more));
		if (!more)
			return NULL;
		s->sums = more;
	}
	more = &s->sums[s->count++];
	*more = (struct sum){ .places = { 0 } };
	snprintf(more->node, sizeof(more->node), "%s", leg->node);
	snprintf(more->day, sizeof(more->day), "%s", leg->start_time);
	return more;
}

static void
on_leg(const struct cdraudit_leg *leg, void *arg)
{
	struct show *s = arg;
	struct sum *sum;

	if (leg->place == CDRAUDIT_MISSING) {
		s->missed++;
		if (s->missing)
			out_row(s->out, (const char *const[]){
						leg->leg_uuid, leg->start_time,
						leg->node, leg->file });
	}
	if (s->missing)
		return;
	sum = sum_of(s, leg);
	if (sum)
		sum->places[leg->place]++;
	else
		s->failed = true;
}

static int
by_day(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;
	int order = strcmp(x->day, y->day);

	return order ? order : strcmp(x->node, y->node);
}

static void
print_sums(struct show *s)
{
	char numbers[CDRAUDIT_PLACES + 1][24];
	const char *values[CDRAUDIT_PLACES + 3];

	if (s->count)
		qsort(s->sums, s->count, sizeof(*s->sums), by_day);
	for (size_t i = 0; i < s->count; i++) {
		size_t produced = 0;

		for (int p = 0; p < CDRAUDIT_PLACES; p++) {
			produced += s->sums[i].places[p];
			snprintf(numbers[p + 1], sizeof(numbers[0]), "%zu",
				 s->sums[i].places[p]);
			values[p + 3] = numbers[p + 1];
		}
		snprintf(numbers[0], sizeof(numbers[0]), "%zu", produced);
		values[0] = s->sums[i].day;
		values[1] = s->sums[i].node;
		values[2] = numbers[0];
		out_row(s->out, values);
	}
}

int
cdrauditshow_run(struct db *db, const char *directory, bool missing,
		 enum out_format format, struct verr *e)
{
	static const struct out_column sums[] = {
		{ "day", OUT_TEXT },        { "node", OUT_TEXT },
		{ "produced", OUT_NUMBER }, { "stored", OUT_NUMBER },
		{ "dead", OUT_NUMBER },     { "queued", OUT_NUMBER },
		{ "spooled", OUT_NUMBER },  { "missing", OUT_NUMBER },
	};
	static const struct out_column legs[] = { { "leg_uuid", OUT_TEXT },
						  { "start_time", OUT_TEXT },
						  { "node", OUT_TEXT },
						  { "file", OUT_TEXT } };
	struct show s = { .missing = missing };
	size_t unreadable = 0;
	int rc;

	s.out = missing ? out_begin(stdout, format, legs, 4, e)
			: out_begin(stdout, format, sums, 8, e);
	if (!s.out)
		return -1;
	rc = cdraudit_run(db, directory, on_leg, &s, &unreadable, e);
	if (rc == 0 && s.failed)
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0)
		print_sums(&s);
	if (out_end(s.out, rc == 0 ? e : &(struct verr){ .kind = VERR_NONE }) ==
	    -1)
		rc = -1;
	if (unreadable)
		log_warning("%zu files hold no record", unreadable);
	if (rc == 0 && s.missed)
		rc = verr_set(e, VERR_NOTFOUND,
			      "%zu legs are missing\n"
			      "hint: voip-cdr-ingest takes their files",
			      s.missed);
	free(s.sums);
	return rc;
}
