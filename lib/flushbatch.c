#include "flushbatch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "utf8.h"

#define DAY_US (INT64_C(86400) * 1000000)

enum { QUEUE_ID, QUEUE_RECEIVED, QUEUE_UUID, QUEUE_BODY };

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "no memory for a batch of CDRs");
}

int
flushbatch_init(struct flushbatch *b, int most, struct verr *e)
{
	*b = (struct flushbatch){ .most = most };
	b->ids = b->lines = b->texts = BUF_INIT;
	b->rows = calloc((size_t)most, sizeof(*b->rows));
	b->dead = calloc((size_t)most, sizeof(*b->dead));
	return b->rows && b->dead ? 0 : no_memory(e);
}

void
flushbatch_release(struct flushbatch *b)
{
	buf_release(&b->ids);
	buf_release(&b->lines);
	buf_release(&b->texts);
	cdr_release(&b->cdr);
	free(b->rows);
	free(b->dead);
	b->rows = NULL;
	b->dead = NULL;
}

void
flushbatch_clear(struct flushbatch *b)
{
	b->taken = 0;
	b->bytes = 0;
	b->row_count = b->dead_count = 0;
	b->mismatched = 0;
	buf_clear(&b->ids);
	buf_clear(&b->lines);
	buf_clear(&b->texts);
}

/* Is the record of a time that is kept? */
static int
check_start(const struct cdr *c, struct verr *e)
{
	struct timespec ts;
	int64_t now_us;

	clock_gettime(CLOCK_REALTIME, &ts);
	now_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	if (c->start_us < now_us - conf_ms("cdr_keep") * 1000)
		return verr_set(e, VERR_INPUT,
				"start_time %s is older than cdr_keep (%s)",
				c->value[CDR_START_TIME], conf_str("cdr_keep"));
	if (c->start_us > now_us + DAY_US)
		return verr_set(e, VERR_INPUT,
				"start_time %s is more than a day ahead",
				c->value[CDR_START_TIME]);
	return 0;
}

static bool
is_mismatched(const char *query_uuid, const struct cdr *c)
{
	if (!query_uuid || !*query_uuid)
		return false;
	if (strncmp(query_uuid, "a_", 2) == 0)
		query_uuid += 2;
	return strcmp(query_uuid, c->value[CDR_LEG_UUID]) != 0;
}

static void
copy_value(struct buf *line, const char *s)
{
	db_copy_field(line, s, s ? strlen(s) : 0);
}

static void
add_row(struct flushbatch *b, const struct db_result *r, int i,
	const struct flushraw *raw)
{
	struct flushbatch_row *row = &b->rows[b->row_count++];
	const struct cdr *c = &b->cdr;
	struct buf *lines = &b->lines;

	snprintf(row->id, sizeof(row->id), "%s", db_value(r, i, QUEUE_ID));
	row->start = lines->len;
	row->start_us = c->start_us;
	row->keeps_raw = flushraw_keeps(raw, c->start_us);
	snprintf(row->leg_uuid, sizeof(row->leg_uuid), "%s",
		 c->value[CDR_LEG_UUID]);
	snprintf(row->start_time, sizeof(row->start_time), "%s",
		 c->value[CDR_START_TIME]);
	for (int field = 0; field < CDR_FIELD_COUNT; field++) {
		copy_value(lines, c->value[field]);
		buf_putc(lines, '\t');
	}
	copy_value(lines, db_value(r, i, QUEUE_RECEIVED));
	buf_putc(lines, '\t');
	db_copy_field(lines, row->keeps_raw ? c->raw.data : NULL, c->raw.len);
	buf_putc(lines, '\n');
	row->len = lines->len - row->start;
}

static size_t
keep_text(struct flushbatch *b, const char *s)
{
	size_t place = b->texts.len + 1;

	if (!s)
		return 0;
	/* cut within a character, it would be refused, for ever */
	utf8_repair(&b->texts, s, strlen(s));
	buf_putc(&b->texts, '\0');
	return place;
}

const char *
flushbatch_text(const struct flushbatch *b, size_t place)
{
	return place ? b->texts.data + place - 1 : NULL;
}

static void
add_dead(struct flushbatch *b, const char *id, const char *reason)
{
	struct flushbatch_dead *dead = &b->dead[b->dead_count++];

	snprintf(dead->id, sizeof(dead->id), "%s", id);
	dead->reason = keep_text(b, reason);
	dead->leg_uuid = keep_text(b, b->cdr.value[CDR_LEG_UUID]);
	dead->start_time = keep_text(b, b->cdr.value[CDR_START_TIME]);
}

static int
read_row(struct flushbatch *b, const struct db_result *r, int i,
	 const struct flushraw *raw, struct verr *e)
{
	const char *id = db_value(r, i, QUEUE_ID);
	size_t len = db_length(r, i, QUEUE_BODY);
	struct verr bad = VERR_INIT;

	db_array_add_int8(&b->ids, strtoll(id, NULL, 10));
	b->bytes += len;
	b->cdr.want_raw = flushraw_wants(raw);
	if (cdr_parse(&b->cdr, db_value(r, i, QUEUE_BODY), len, &bad) == 0 &&
	    check_start(&b->cdr, &bad) == 0) {
		b->mismatched +=
			is_mismatched(db_value(r, i, QUEUE_UUID), &b->cdr);
		add_row(b, r, i, raw);
		return 0;
	}
	if (bad.kind != VERR_INPUT) {
		*e = bad;
		return -1;
	}
	add_dead(b, id, bad.msg);
	return 0;
}

int
flushbatch_read(struct flushbatch *b, const struct db_result *r,
		const struct flushraw *raw, struct verr *e)
{
	int rows = db_rows(r);

	assert(rows <= b->most);
	flushbatch_clear(b);
	db_array_begin(&b->ids, DB_ARRAY_INT8);
	for (int i = 0; i < rows; i++)
		if (read_row(b, r, i, raw, e) == -1) {
			flushbatch_clear(b);
			return -1;
		}
	db_array_end(&b->ids);
	if (buf_failed(&b->ids) || buf_failed(&b->lines) ||
	    buf_failed(&b->texts)) {
		flushbatch_clear(b);
		return no_memory(e);
	}
	if (rows > 0)
		snprintf(b->last, sizeof(b->last), "%s",
			 db_value(r, rows - 1, QUEUE_ID));
	b->taken = rows;
	return 0;
}
