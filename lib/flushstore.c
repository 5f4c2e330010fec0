#include "flushstore.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cdr.h"
#include "log.h"
#include "utf8.h"

/* --- statements, from the one table of fields ------------------------------
 */

#define COLUMNS CDR_FIELDS(FLUSHBATCH_COLUMN_NAME)
#define COLUMN_DEFINITION(id, column, type, sources) \
	column " " SQL_TYPE_##type ", "
#define SQL_TYPE_TEXT    "text"
#define SQL_TYPE_KEY     "text"
#define SQL_TYPE_NAME    "text"
#define SQL_TYPE_UTIME   "timestamptz"
#define SQL_TYPE_TIME    "timestamptz"
#define SQL_TYPE_INT     "integer"
#define SQL_TYPE_DECIMAL "numeric(5,2)"
#define SQL_TYPE_BOOL    "boolean"

const char flushstore_sql[] = "create temporary table cdr_batch (" CDR_FIELDS(
	COLUMN_DEFINITION) "received_at timestamptz, raw text) on commit delete rows";

static const char copy_sql[] =
	"copy pg_temp.cdr_batch (" FLUSHBATCH_LINE ") from stdin";

/* Sub-selects and not joins: the planner knows nothing of the temporary table,
 * and would read all users for a few rows. */
static const char insert_sql[] =
	"insert into voip.cdr (" COLUMNS "received_at, domain_id, queue_id, "
	"agent_id) select " COLUMNS "received_at, "
	"(select d.id from voip.domains as d where d.domain = lower(b.domain)), "
	"case when b.queue is not null then (select q.id from voip.queues as q "
	"join voip.domains as d on d.id = q.domain_id "
	"where q.name = regexp_replace(b.queue, '@[^@]*$', '') and d.domain = "
	"lower(coalesce(nullif(substring(b.queue from '@([^@]*)$'), ''), "
	"b.domain))) end, "
	"case when b.agent is not null then (select u.id from voip.users as u "
	"join voip.domains as d on d.id = u.domain_id "
	"where u.username = split_part(b.agent, '@', 1) and d.domain = "
	"lower(coalesce(nullif(split_part(b.agent, '@', 2), ''), b.domain))) "
	"end from pg_temp.cdr_batch as b on conflict do nothing";

static const char dead_sql[] =
	"insert into voip.cdr_dead (received_at, node, peer, query_uuid, "
	"content_type, leg_uuid, start_time, body, body_sha256, reason, "
	"sqlstate, attempts) select received_at, node, peer, query_uuid, "
	"content_type, $2, $3::timestamptz, body, sha256(body), $4, $5, "
	"attempts + 1 from voip.cdr_queue where id = $1 "
	"on conflict (body_sha256) do nothing";

void
flushstore_init(struct flushstore *s, struct db *db)
{
	*s = (struct flushstore){ .db = db };
	flushraw_init(&s->raw);
}

void
flushstore_forget(struct flushstore *s)
{
	memset(s->months, 0, sizeof(s->months));
	flushraw_forget(&s->raw);
}

/* --- dead letters -----------------------------------------------------------
 */

/* `leg_uuid`, `start_time` and `sqlstate` may be NULL. */
static int
bury(struct flushstore *s, const char *id, const char *leg_uuid,
     const char *start_time, const char *sqlstate, const char *reason,
     struct flush_counts *counts, struct verr *e)
{
	log_event(LOG_LEVEL_WARNING, "cdr_dead", "queue_id", id, "leg_uuid",
		  leg_uuid, "reason", reason, "sqlstate", sqlstate, NULL);
	counts->dead++;
	return db_query(
		s->db, NULL, dead_sql, 5,
		(const struct db_param[]){ DB_TEXT(id), DB_TEXT(leg_uuid),
					   DB_TEXT(start_time), DB_TEXT(reason),
					   DB_TEXT(sqlstate) },
		e);
}

static int
bury_dead(struct flushstore *s, const struct flushbatch *b,
	  struct flush_counts *counts, struct verr *e)
{
	for (size_t i = 0; i < b->dead_count; i++) {
		const struct flushbatch_dead *dead = &b->dead[i];

		if (bury(s, dead->id, flushbatch_text(b, dead->leg_uuid),
			 flushbatch_text(b, dead->start_time), NULL,
			 flushbatch_text(b, dead->reason), counts, e) == -1)
			return -1;
	}
	return 0;
}

static int
bury_refused(struct flushstore *s, const struct flushbatch_row *row,
	     const char *sqlstate, const char *reason,
	     struct flush_counts *counts, struct verr *e)
{
	struct buf text = BUF_INIT;
	int rc;

	/* cut within a character, it would be refused, for ever */
	utf8_repair(&text, reason, strlen(reason));
	rc = buf_failed(&text)
		     ? verr_set(e, VERR_RETRY, "no memory for a dead letter")
		     : bury(s, row->id, row->leg_uuid, row->start_time,
			    sqlstate, text.data, counts, e);
	buf_release(&text);
	return rc;
}

/* --- partitions -------------------------------------------------------------
 */

/* A month that is met for the first time gets its partition. */
static int
make_partition(struct flushstore *s, const struct flushbatch_row *row,
	       struct verr *e)
{
	time_t seconds = (time_t)(row->start_us / 1000000);
	struct tm tm;
	int month;

	gmtime_r(&seconds, &tm);
	month = (tm.tm_year - 100) * 12 + tm.tm_mon;
	if (month < 0 || month >= FLUSHSTORE_MONTHS || s->months[month])
		return 0;
	if (db_query(s->db, NULL, "select voip.cdr_partition($1::timestamptz)",
		     1, &DB_TEXT(row->start_time), e) == -1)
		return -1;
	s->months[month] = true;
	return 0;
}

static int
make_partitions(struct flushstore *s, const struct flushbatch *b,
		struct verr *e)
{
	for (size_t i = 0; i < b->row_count; i++) {
		const struct flushbatch_row *row = &b->rows[i];

		if (make_partition(s, row, e) == -1 ||
		    (row->keeps_raw &&
		     flushraw_partition(&s->raw, s->db, row->start_us,
					row->start_time, e) == -1))
			return -1;
	}
	return 0;
}

/* --- rows -------------------------------------------------------------------
 */

static int
copy_rows(struct flushstore *s, const struct flushbatch *b, size_t from,
	  size_t to, struct verr *e)
{
	const struct flushbatch_row *first = &b->rows[from],
				    *last = &b->rows[to - 1];

	if (db_copy_begin(s->db, copy_sql, e) == -1 ||
	    db_copy_data(s->db, b->lines.data + first->start,
			 last->start + last->len - first->start, e) == -1)
		return -1;
	return db_copy_end(s->db, e);
}

static int
insert_rows(struct flushstore *s, const struct flushbatch *b, size_t from,
	    size_t to, struct flush_counts *counts, struct verr *e)
{
	struct db_result *r = NULL;
	long stored;

	if (copy_rows(s, b, from, to, e) == -1 ||
	    db_start(s->db, insert_sql, 0, NULL, e) == -1)
		return -1;
	if (s->meanwhile)
		s->meanwhile(s->arg);
	if (db_finish(s->db, &r, e) == -1)
		return -1;
	if (flushraw_store(&s->raw, s->db, e) == -1) {
		db_result_free(r);
		return -1;
	}
	stored = db_affected(r);
	db_result_free(r);
	counts->stored += stored;
	counts->duplicates += (long)(to - from) - stored;
	return 0;
}

/* What the row itself is to blame for: data, constraints, limits, and the
 * site's own triggers. */
static bool
is_row_fault(const struct db *db)
{
	const char *state = db_sqlstate(db);

	return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
	       strncmp(state, "54", 2) == 0 || strcmp(state, "P0001") == 0;
}

/* Rows [from, to): all of them, or all but those that must be buried. */
static int
store_rows(struct flushstore *s, const struct flushbatch *b, size_t from,
	   size_t to, struct flush_counts *counts, struct verr *e)
{
	size_t half = from + (to - from) / 2;
	struct verr failure = VERR_INIT;
	char state[6];

	if (from == to)
		return 0;
	if (db_script(s->db, "savepoint flush", e) == -1)
		return -1;
	if (insert_rows(s, b, from, to, counts, &failure) == 0)
		return to - from == b->row_count
			       ? 0
			       : db_script(s->db,
					   "delete from pg_temp.cdr_batch", e);
	if (!is_row_fault(s->db)) {
		*e = failure;
		return -1;
	}
	snprintf(state, sizeof(state), "%s", db_sqlstate(s->db));
	if (db_script(s->db, "rollback to savepoint flush", e) == -1)
		return -1;
	if (to - from == 1)
		return bury_refused(s, &b->rows[from], state, failure.msg,
				    counts, e);
	if (store_rows(s, b, from, half, counts, e) == -1)
		return -1;
	return store_rows(s, b, half, to, counts, e);
}

int
flushstore_batch(struct flushstore *s, const struct flushbatch *b,
		 struct flush_counts *counts, struct verr *e)
{
	counts->mismatched += b->mismatched;
	if (bury_dead(s, b, counts, e) == -1 || make_partitions(s, b, e) == -1)
		return -1;
	return store_rows(s, b, 0, b->row_count, counts, e);
}
