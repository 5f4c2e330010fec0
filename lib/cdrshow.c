#include "cdrshow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdr.h"
#include "cdrdead.h"
#include "cdrstory.h"
#include "utf8.h"

/* --- legs ------------------------------------------------------------- */

static const enum cdr_field main_fields[] = {
	CDR_START_TIME,  CDR_DOMAIN,  CDR_DIRECTION,    CDR_CALLER_NUMBER,
	CDR_DESTINATION, CDR_BILLSEC, CDR_HANGUP_CAUSE, CDR_LEG_UUID,
};

#define MAIN (sizeof(main_fields) / sizeof(main_fields[0]))

static enum out_type
type_of(enum cdr_type type)
{
	switch (type) {
	case CDR_TYPE_INT:
	case CDR_TYPE_DECIMAL:
		return OUT_NUMBER;
	case CDR_TYPE_BOOL:
		return OUT_BOOL;
	default:
		return OUT_TEXT;
	}
}

/* The field of a column, and how many there are. */
static size_t
fields_of(enum out_format format, enum cdr_field fields[CDR_FIELD_COUNT])
{
	if (format == OUT_TABLE) {
		memcpy(fields, main_fields, sizeof(main_fields));
		return MAIN;
	}
	for (int i = 0; i < CDR_FIELD_COUNT; i++)
		fields[i] = (enum cdr_field)i;
	return CDR_FIELD_COUNT;
}

struct out *
cdrshow_begin(enum out_format format, struct verr *e)
{
	static struct out_column columns[CDR_FIELD_COUNT];
	enum cdr_field fields[CDR_FIELD_COUNT];
	size_t n = fields_of(format, fields);

	for (size_t i = 0; i < n; i++)
		columns[i] = (struct out_column){
			cdr_fields[fields[i]].column,
			type_of(cdr_fields[fields[i]].type)
		};
	return out_begin(stdout, format, columns, n, e);
}

void
cdrshow_rows(struct out *out, enum out_format format,
	     const struct db_result *legs)
{
	enum cdr_field fields[CDR_FIELD_COUNT];
	size_t n = fields_of(format, fields);

	for (int row = 0; row < db_rows(legs); row++) {
		const char *values[CDR_FIELD_COUNT];

		for (size_t i = 0; i < n; i++)
			values[i] = db_value(legs, row, (int)fields[i]);
		out_row(out, values);
	}
}

/* --- a call ----------------------------------------------------------- */

static void
print_event(const struct cdrstory_event *event, void *out)
{
	out_row(out, (const char *const[]){ event->at, event->leg, event->what,
					    event->detail });
}

int
cdrshow_story(enum out_format format, const struct db_result *legs,
	      struct verr *e)
{
	static const struct out_column columns[] = { { "time", OUT_TEXT },
						     { "leg", OUT_TEXT },
						     { "event", OUT_TEXT },
						     { "detail", OUT_TEXT } };
	struct out *out = out_begin(stdout, format, columns, 4, e);
	int rc;

	if (!out)
		return -1;
	rc = cdrstory_tell(legs, print_event, out, e);
	return out_end(out, e) == -1 ? -1 : rc;
}

/* --- rows as they are ------------------------------------------------- */

static int
print_result(enum out_format format, const struct out_column *columns, size_t n,
	     const struct db_result *r, struct verr *e)
{
	struct out *out = out_begin(stdout, format, columns, n, e);

	if (!out)
		return -1;
	for (int row = 0; row < db_rows(r); row++) {
		const char *values[16];

		for (size_t i = 0; i < n; i++)
			values[i] = db_value(r, row, (int)i);
		out_row(out, values);
	}
	return out_end(out, e);
}

int
cdrshow_stats(enum out_format format, const char *group,
	      const struct db_result *stats, struct verr *e)
{
	const struct out_column columns[CDRQUERY_STATS_COLUMNS] = {
		{ group, OUT_TEXT },        { "attempts", OUT_NUMBER },
		{ "answered", OUT_NUMBER }, { "asr", OUT_NUMBER },
		{ "acd", OUT_NUMBER },      { "pdd", OUT_NUMBER },
		{ "talked", OUT_NUMBER },   { "peak", OUT_NUMBER },
	};

	return print_result(format, columns, CDRQUERY_STATS_COLUMNS, stats, e);
}

int
cdrshow_dead(enum out_format format, const struct db_result *letters,
	     struct verr *e)
{
	static const struct out_column columns[CDRDEAD_COLUMNS] = {
		{ "id", OUT_NUMBER },        { "dead_at", OUT_TEXT },
		{ "received_at", OUT_TEXT }, { "peer", OUT_TEXT },
		{ "query_uuid", OUT_TEXT },  { "leg_uuid", OUT_TEXT },
		{ "start_time", OUT_TEXT },  { "bytes", OUT_NUMBER },
		{ "attempts", OUT_NUMBER },  { "sqlstate", OUT_TEXT },
		{ "reason", OUT_TEXT },
	};

	return print_result(format, columns, CDRDEAD_COLUMNS, letters, e);
}

/* --- bars ------------------------------------------------------------- */

static size_t
width_of(const char *s)
{
	struct buf b = BUF_INIT;
	size_t width;

	utf8_escape(&b, s, strlen(s));
	width = utf8_width(b.data, b.len);
	buf_release(&b);
	return width;
}

static void
draw_bar(struct buf *text, const struct db_result *stats, int row,
	 size_t key_width, long most, size_t room)
{
	const char *key = db_value(stats, row, 0);
	long attempts = strtol(db_value(stats, row, 1), NULL, 10);
	long answered = strtol(db_value(stats, row, 2), NULL, 10);
	size_t bar = (size_t)attempts * room / (size_t)most;
	size_t full = (size_t)answered * room / (size_t)most;

	utf8_escape(text, key, strlen(key));
	for (size_t i = width_of(key); i <= key_width; i++)
		buf_putc(text, ' ');
	for (size_t i = 0; i < bar; i++)
		buf_putc(text, i < full ? '#' : '.');
	buf_printf(text, "%s%ld, %s %% answered, %s at once\n", bar ? " " : "",
		   attempts, db_value(stats, row, 3), db_value(stats, row, 7));
}

void
cdrshow_chart(struct buf *text, const struct db_result *stats, unsigned width)
{
	const size_t words = 44; /* behind the longest bar */
	size_t key_width = 0, room;
	long most = 1;

	for (int i = 0; i < db_rows(stats); i++) {
		long n = strtol(db_value(stats, i, 1), NULL, 10);
		size_t w = width_of(db_value(stats, i, 0));

		most = n > most ? n : most;
		key_width = w > key_width ? w : key_width;
	}
	room = width > key_width + words + 10 ? width - key_width - words : 10;
	for (int i = 0; i < db_rows(stats); i++)
		draw_bar(text, stats, i, key_width, most, room);
}
