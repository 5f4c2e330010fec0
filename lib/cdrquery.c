#include "cdrquery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdr.h"
#include "confvalue.h"
#include "moment.h"

#define PARAMS (CDRQUERY_COUNT + 4)

static const struct filter {
	const char *option;
	const char *condition;
	enum cdrquery_type type;
} filters[CDRQUERY_COUNT] = {
#define FILTER_ROW(id, option, arg, type, condition, help) \
	{ option, condition, CDRQUERY_TYPE_##type },
	CDRQUERY_FILTERS(FILTER_ROW)
#undef FILTER_ROW
};

/* A statement that grows together with its parameters. */
struct question {
	struct buf sql;
	struct db_param params[PARAMS];
	int n;
};

static int
add_param(struct question *s, const char *value)
{
	s->params[s->n++] = DB_TEXT(value);
	return s->n;
}

static int
ask(struct db *db, struct question *s, struct db_result **r, struct verr *e)
{
	int rc = buf_failed(&s->sql)
			 ? verr_set(e, VERR_RETRY, "out of memory")
			 : db_query(db, r, s->sql.data, s->n, s->params, e);

	buf_release(&s->sql);
	return rc;
}

/* --- filters ---------------------------------------------------------- */

/* "2h" is that long ago. */
static int
read_past(char *out, const char *s, struct verr *e)
{
	static const struct conf_row row = { .type = CONF_DURATION };
	struct verr ignored = VERR_INIT;
	int64_t ms;
	time_t at;
	struct tm tm;

	if (*s < '0' || *s > '9' || strchr(s, '-') ||
	    conf_value_parse(&row, s, &ms, &ignored) == -1)
		return moment_utc(out, s, e);
	at = time(NULL) - (time_t)(ms / 1000);
	if (!gmtime_r(&at, &tm) || tm.tm_year < 0)
		return verr_set(e, VERR_INPUT, "'%s' is too long ago", s);
	strftime(out, MOMENT_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return 0;
}

static int
read_number(char *out, const char *s, struct verr *e)
{
	if (strspn(s, "0123456789") != strlen(s) || !*s || strlen(s) > 10 ||
	    strtoll(s, NULL, 10) > INT32_MAX)
		return verr_set(e, VERR_INPUT,
				"'%s' is not a number from 0 to %d", s,
				INT32_MAX);
	snprintf(out, CDRQUERY_VALUE, "%s", s);
	return 0;
}

static int
read_value(char *out, enum cdrquery_type type, const char *s, struct verr *e)
{
	if (!*s)
		return verr_set(e, VERR_INPUT, "the value is empty");
	if (strlen(s) >= CDRQUERY_VALUE)
		return verr_set(e, VERR_INPUT, "the value is too long");
	if (type == CDRQUERY_TYPE_PAST)
		return read_past(out, s, e);
	if (type == CDRQUERY_TYPE_NUMBER)
		return read_number(out, s, e);
	if (type == CDRQUERY_TYPE_DIRECTION && strcmp(s, "inbound") != 0 &&
	    strcmp(s, "outbound") != 0 && strcmp(s, "internal") != 0)
		return verr_set(e, VERR_INPUT,
				"'%s' is none of: inbound outbound internal",
				s);
	snprintf(out, CDRQUERY_VALUE, "%s", s);
	return 0;
}

int
cdrquery_init(struct cdrquery *q, struct verr *e)
{
	*q->after_time = *q->after_uuid = '\0';
	for (int i = 0; i < CDRQUERY_COUNT; i++) {
		*q->value[i] = '\0';
		if (q->given[i] && read_value(q->value[i], filters[i].type,
					      q->given[i], e) == -1) {
			e->kind = VERR_USAGE;
			return verr_wrap(e, "--%s", filters[i].option);
		}
	}
	return 0;
}

/* " and ..." for each filter; a `?` is its parameter. */
static void
add_filters(struct question *s, const struct cdrquery *q)
{
	for (int i = 0; i < CDRQUERY_COUNT; i++) {
		const char *p = filters[i].condition;
		int place;

		if (!*q->value[i])
			continue;
		place = add_param(s, q->value[i]);
		buf_puts(&s->sql, " and ");
		for (; *p; p++)
			if (*p == '?')
				buf_printf(&s->sql, "$%d", place);
			else
				buf_putc(&s->sql, *p);
	}
}

/* --- pages ------------------------------------------------------------ */

int
cdrquery_after(struct cdrquery *q, const char *key, struct verr *e)
{
	const char *comma = strchr(key, ',');
	size_t len = comma ? (size_t)(comma - key) : 0;
	char second[MOMENT_TEXT], text[64];
	size_t whole = strcspn(key, ".,");

	/* microseconds, which moment.h does not know, are the server's */
	snprintf(text, sizeof(text), "%.*sZ", (int)(whole < 40 ? whole : 40),
		 key);
	if (!comma || !comma[1] || len >= 40 ||
	    strlen(comma + 1) >= CDRQUERY_VALUE || len < 21 ||
	    key[len - 1] != 'Z' || key[whole] != '.' ||
	    strspn(key + whole + 1, "0123456789") != len - whole - 2 ||
	    moment_utc(second, text, e) == -1)
		return verr_set(e, VERR_USAGE,
				"--after: '%.80s' is not START_TIME,LEG_UUID "
				"of a leg",
				key);
	snprintf(q->after_time, sizeof(q->after_time), "%.*s", (int)len, key);
	snprintf(q->after_uuid, sizeof(q->after_uuid), "%s", comma + 1);
	return 0;
}

void
cdrquery_next(struct cdrquery *q, const struct db_result *page)
{
	int last = db_rows(page) - 1;

	if (last < 0)
		return;
	snprintf(q->after_time, sizeof(q->after_time), "%s",
		 db_value(page, last, CDR_START_TIME));
	snprintf(q->after_uuid, sizeof(q->after_uuid), "%s",
		 db_value(page, last, CDR_LEG_UUID));
}

static void
add_columns(struct buf *b)
{
	for (int i = 0; i < CDR_FIELD_COUNT; i++) {
		bool is_time = cdr_fields[i].type == CDR_TYPE_UTIME ||
			       cdr_fields[i].type == CDR_TYPE_TIME;

		buf_puts(b, i ? ", " : "");
		if (is_time)
			buf_printf(b,
				   "to_char(c.%s at time zone 'UTC',"
				   " 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
				   cdr_fields[i].column);
		else
			buf_printf(b, "c.%s::text", cdr_fields[i].column);
	}
}

int
cdrquery_page(struct db *db, struct db_result **r, const struct cdrquery *q,
	      bool oldest_first, unsigned limit, struct verr *e)
{
	const char *order = oldest_first ? "asc" : "desc";
	struct question s = { .sql = BUF_INIT };

	buf_puts(&s.sql, "select ");
	add_columns(&s.sql);
	buf_puts(&s.sql, " from voip.cdr as c where true");
	add_filters(&s, q);
	if (*q->after_time) {
		int time = add_param(&s, q->after_time);
		int uuid = add_param(&s, q->after_uuid);

		buf_printf(&s.sql,
			   " and (c.start_time, c.leg_uuid) %s"
			   " ($%d::timestamptz, $%d)",
			   oldest_first ? ">" : "<", time, uuid);
	}
	buf_printf(&s.sql, " order by c.start_time %s, c.leg_uuid %s limit %u",
		   order, order, limit);
	return ask(db, &s, r, e);
}

/* --- one call --------------------------------------------------------- */

int
cdrquery_story(struct db *db, struct db_result **r, const char *leg_uuid,
	       struct verr *e)
{
	struct question s = { .sql = BUF_INIT };

	/* a uuid may have been used again: the legs of each */
	buf_puts(&s.sql, "with l as (select distinct l.* from voip.cdr as f"
			 " cross join lateral"
			 " voip.call_legs(f.start_time, f.leg_uuid) as l"
			 " where f.leg_uuid = $1) select ");
	add_columns(&s.sql);
	buf_puts(&s.sql, " from l join voip.cdr as c"
			 " on c.start_time = l.start_time"
			 " and c.leg_uuid = l.leg_uuid"
			 " order by c.start_time, coalesce(c.originator_uuid,"
			 " c.member_session_uuid) is not null, c.leg_uuid");
	add_param(&s, leg_uuid);
	return ask(db, &s, r, e);
}

int
cdrquery_raw(struct db *db, struct buf *text, const char *leg_uuid,
	     struct verr *e)
{
	static const char sql[] = "select body from voip.cdr_raw"
				  " where leg_uuid = $1 order by start_time";
	struct db_result *r = NULL;

	if (db_query(db, &r, sql, 1, &DB_TEXT(leg_uuid), e) == -1)
		return -1;
	for (int i = 0; i < db_rows(r); i++) {
		buf_puts(text, db_value(r, i, 0));
		buf_putc(text, '\n');
	}
	db_result_free(r);
	return buf_failed(text) ? verr_set(e, VERR_RETRY, "out of memory") : 0;
}

/* --- statistics ------------------------------------------------------- */

#define BUCKET(unit, form) \
	"to_char(date_trunc('" unit "', at at time zone $1), '" form "')"

/*
 * `key` is an expression over `at`, the time, and c, the leg; what is
 * `in_time` has its most at the same time over all legs, the others each over
 * its own.
 */
static const struct group {
	const char *name;
	const char *key;
	bool in_time;
	const char *which;
} groups[] = {
	{ "hour", BUCKET("hour", "YYYY-MM-DD HH24:00"), true,
	  "c.channel_direction = 'inbound'" },
	{ "day", BUCKET("day", "YYYY-MM-DD"), true,
	  "c.channel_direction = 'inbound'" },
	{ "domain", "c.domain", false, "c.channel_direction = 'inbound'" },
	{ "trunk", "c.gateway", false,
	  "c.channel_direction = 'outbound' and c.gateway is not null" },
	{ "queue", "c.queue", false,
	  "c.channel_direction = 'inbound' and c.queue is not null" },
	{ "cause", "c.hangup_cause", false, "c.channel_direction = 'inbound'" },
	{ "node", "c.node", false, "c.channel_direction = 'inbound'" },
};

static const char group_names[] = "hour day domain trunk queue cause node";

static const struct group *
find_group(const char *name)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(groups[i].name, name) == 0)
			return &groups[i];
	return NULL;
}

/*
 * The most at the same time is the running sum of +1 for each start and -1 for
 * each end; the level before an end counts too, since it may have been reached
 * in an earlier hour.
 */
int
cdrquery_stats(struct db *db, struct db_result **r, const struct cdrquery *q,
	       const char *group, const char *zone, struct verr *e)
{
	const struct group *g = find_group(group);
	struct question s = { .sql = BUF_INIT };

	if (!g)
		return verr_set(e, VERR_USAGE, "--by: '%s' is none of: %s",
				group, group_names);
	add_param(&s, zone);
	buf_printf(&s.sql,
		   "with legs as (select c.*, v.at, v.d from voip.cdr as c"
		   " cross join lateral (values (c.start_time, 1),"
		   " (c.end_time, -1)) as v(at, d)"
		   " where v.at is not null and $1::text is not null and %s",
		   g->which);
	add_filters(&s, q);
	buf_printf(&s.sql,
		   "), c as (select coalesce(%s, '') as key, c.answer_time,"
		   " c.progress_time, c.billsec, c.at, c.d from legs as c),"
		   " sums as (select key, count(*) as attempts,"
		   " count(answer_time) as answered,"
		   " avg(billsec) filter (where answer_time is not null)"
		   " as acd, avg(extract(epoch from"
		   " coalesce(progress_time, answer_time) - at)) as pdd,"
		   " coalesce(sum(billsec), 0) as talked"
		   " from c where d = 1 group by key),"
		   " levels as (select key, d, sum(d) over (%s order by at, d"
		   " rows unbounded preceding) as n from c),"
		   " peaks as (select key, max(greatest(n, n - d)) as peak"
		   " from levels group by key)"
		   " select key, attempts::text, answered::text,"
		   " round(100.0 * answered / attempts, 1)::text,"
		   " round(acd, 1)::text, round(pdd, 3)::text, talked::text,"
		   " peak::text from sums join peaks using (key) order by key",
		   g->key, g->in_time ? "" : "partition by key");
	return ask(db, &s, r, e);
}
