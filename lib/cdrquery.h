/*
 * cdrquery: which legs of voip.cdr are meant, and the questions asked of them.
 *
 * Layer domain.  CDRQUERY_FILTERS is the one table of filters: name, option,
 * condition, help.  A `?` of the condition is the filter's value, always as a
 * parameter.  From it come the options of voip-cdr and the statements.
 *
 * Lists are read in pages by key, (start_time, leg_uuid): each page is one
 * statement of its own, found by index however far it is from the first, and
 * nothing is held between them that would keep dead rows alive.
 */
#ifndef CDRQUERY_H
#define CDRQUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "db.h"
#include "verr.h"

enum cdrquery_type {
	CDRQUERY_TYPE_TEXT,
	CDRQUERY_TYPE_PAST,   /* a time (moment.h), or how long ago: 2h, 7d */
	CDRQUERY_TYPE_NUMBER, /* 0 to 2^31-1 */
	CDRQUERY_TYPE_DIRECTION,
};

/* clang-format off */
#define CDRQUERY_FILTERS(X) \
	X(SINCE, "since", "TIME", PAST, "c.start_time >= ?::timestamptz", \
	  "started then or later: a time, or how long ago, as 2h or 7d") \
	X(UNTIL, "until", "TIME", PAST, "c.start_time < ?::timestamptz", \
	  "started earlier") \
	X(NUMBER, "number", "NUMBER", TEXT, \
	  "? in (c.caller_number, c.destination, c.destination_last)", \
	  "who called or was called") \
	X(DOMAIN, "domain", "DOMAIN", TEXT, "c.domain = lower(?)", "of that tenant") \
	X(DIRECTION, "direction", "WORD", DIRECTION, "c.direction = ?", \
	  "inbound, outbound or internal") \
	X(CAUSE, "cause", "CAUSE", TEXT, "c.hangup_cause = ?", \
	  "ended by that hangup cause, as NORMAL_CLEARING") \
	X(QUEUE, "queue", "QUEUE", TEXT, "c.queue = ?", \
	  "of that queue, as NAME@DOMAIN") \
	X(AGENT, "agent", "AGENT", TEXT, "c.agent = ?", \
	  "of that agent, as USER@DOMAIN") \
	X(TRUNK, "trunk", "NAME", TEXT, "c.gateway = ?", \
	  "over that gateway") \
	X(NODE, "node", "NAME", TEXT, "c.node = ?", "of that switch") \
	X(MIN_DURATION, "min-duration", "SECONDS", NUMBER, \
	  "c.billsec >= ?::integer", "talked at least so long")
/* clang-format on */

#define CDRQUERY_ID(id, option, arg, type, condition, help) CDRQUERY_##id,
enum cdrquery_filter { CDRQUERY_FILTERS(CDRQUERY_ID) CDRQUERY_COUNT };
#undef CDRQUERY_ID

#define CDRQUERY_VALUE 320

struct cdrquery {
	/* As given; NULL: not.  Borrowed. */
	const char *given[CDRQUERY_COUNT];
	/* Private: as the statements take them. */
	char value[CDRQUERY_COUNT][CDRQUERY_VALUE];
	char after_time[CDRQUERY_VALUE];
	char after_uuid[CDRQUERY_VALUE];
};

/* Read what was given; VERR_USAGE names the option and the rule. */
int cdrquery_init(struct cdrquery *q, struct verr *e);

/*
 * The next page begins behind this leg: "START_TIME,LEG_UUID", as the columns
 * of those names are printed.
 */
int cdrquery_after(struct cdrquery *q, const char *key, struct verr *e);
/* ... behind the last row of a page. */
void cdrquery_next(struct cdrquery *q, const struct db_result *page);

/*
 * At most `limit` legs, newest first or oldest first.  The columns are those
 * of cdr.h, in their order; times are UTC, ISO 8601 with microseconds.
 */
int cdrquery_page(struct db *db, struct db_result **r, const struct cdrquery *q,
		  bool oldest_first, unsigned limit, struct verr *e);

/*
 * The leg and all that are linked with it, oldest first, with the columns of
 * cdrquery_page(): the links of voip.calls (sql/0008-calls.sql).
 */
int cdrquery_story(struct db *db, struct db_result **r, const char *leg_uuid,
		   struct verr *e);

/* Append the kept bodies of legs with this uuid, oldest first, a line each
 * (cdrraw.h). */
int cdrquery_raw(struct db *db, struct buf *text, const char *leg_uuid,
		 struct verr *e);

/*
 * A row for each group: name, attempts, answered, ASR (percent), ACD (seconds
 * talked of an answered call), PDD (seconds from the start to the first sign
 * of the other end), seconds talked, most at the same time.  Counted are the
 * legs that came in; by trunk, those that went out over one.  `zone` is that
 * of hours and days.
 */
#define CDRQUERY_STATS_COLUMNS 8
int
cdrquery_stats(struct db *db, struct db_result **r, const struct cdrquery *q,
	       const char *group, const char *zone, struct verr *e);

#endif
