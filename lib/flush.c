#include "flush.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdr.h"
#include "conf.h"
#include "db.h"
#include "flushraw.h"
#include "log.h"
#include "loop.h"
#include "utf8.h"

/* A batch may be large and the disk slow; the caller has no one waiting. */
#define MIN_TIMEOUT_MS 60000
#define ADOPT_EVERY_MS 1000
/* Rows after which the queue's tables are looked at again. */
#define ROTATE_AFTER 1000
/* A CDR alone is taken at once; what comes soon after waits for more. */
#define GATHER_MS 400
/* A long queue is taken in larger batches, while their bodies are small. */
#define GROW_FACTOR 5
#define GROW_BYTES  (16 << 20)
#define DAY_US      (INT64_C(86400) * 1000000)

/* --- statements, from the one table of fields ------------------------------
 */

#define COLUMN_NAME(id, column, type, sources) column ", "
#define COLUMNS                                CDR_FIELDS(COLUMN_NAME)
#define COLUMN_DEFINITION(id, column, type, sources) \
	column " " SQL_TYPE_##type ", "
#define SQL_TYPE_TEXT    "text"
#define SQL_TYPE_KEY     "text"
#define SQL_TYPE_UTIME   "timestamptz"
#define SQL_TYPE_TIME    "timestamptz"
#define SQL_TYPE_INT     "integer"
#define SQL_TYPE_DECIMAL "numeric(5,2)"
#define SQL_TYPE_BOOL    "boolean"

static const char create_sql[] = "create temporary table cdr_batch (" CDR_FIELDS(
	COLUMN_DEFINITION) "received_at timestamptz, raw text) on commit delete rows";

static const char copy_sql[] =
	"copy pg_temp.cdr_batch (" COLUMNS "received_at, raw) from stdin";

/* Sub-selects and not joins: the planner knows nothing of the temporary table,
 * and would read all users for a few rows. */
static const char insert_sql[] =
	"insert into voip.cdr (" COLUMNS "received_at, domain_id, queue_id, "
	"agent_id) select " COLUMNS "received_at, "
	"(select d.id from voip.domains as d where d.domain = lower(b.domain)), "
	"case when b.queue is not null then (select q.id from voip.queues as q "
	"join voip.domains as d on d.id = q.domain_id "
	"where q.name = split_part(b.queue, '@', 1) and d.domain = "
	"lower(coalesce(nullif(split_part(b.queue, '@', 2), ''), b.domain))) "
	"end, "
	"case when b.agent is not null then (select u.id from voip.users as u "
	"join voip.domains as d on d.id = u.domain_id "
	"where u.username = split_part(b.agent, '@', 1) and d.domain = "
	"lower(coalesce(nullif(split_part(b.agent, '@', 2), ''), b.domain))) "
	"end from pg_temp.cdr_batch as b on conflict do nothing";

#define QUEUE_COLUMNS "q.id::text, q.received_at::text, q.query_uuid, q.body"
enum { QUEUE_ID, QUEUE_RECEIVED, QUEUE_UUID, QUEUE_BODY };

/* One of the places for flushers, until the transaction ends; no row: all are
 * taken.  The first number is ours, "VFLU". */
static const char place_sql[] =
	"select n from generate_series(1, $1::integer) as n "
	"where pg_try_advisory_xact_lock(1447447637, n) limit 1";

static const char take_sql[] =
	"select " QUEUE_COLUMNS
	" from voip.cdr_queue as q order by q.id limit $1 "
	"for update skip locked";

static const char look_sql[] =
	"select " QUEUE_COLUMNS " from voip.cdr_queue as q where q.id > $1 "
	"order by q.id limit $2";

static const char delete_sql[] =
	"delete from voip.cdr_queue where id = any($1::bigint[])";

static const char dead_sql[] =
	"insert into voip.cdr_dead (received_at, node, peer, query_uuid, "
	"content_type, leg_uuid, start_time, body, body_sha256, reason, "
	"sqlstate, attempts) select received_at, node, peer, query_uuid, "
	"content_type, $2, $3::timestamptz, body, sha256(body), $4, $5, "
	"attempts + 1 from voip.cdr_queue where id = $1 "
	"on conflict (body_sha256) do nothing";

static const char adopt_sql[] = "select voip.cdr_adopt()";

static const char rotate_sql[] = "select voip.cdr_queue_rotate()";

/* --- a batch ----------------------------------------------------------------
 */

struct row {
	const char *id; /* borrowed from the result */
	size_t start;   /* of its COPY line in f->lines */
	size_t len;
	char leg_uuid[257];
	char start_time[40];
};

#define MONTHS (200 * 12) /* from 2000 on, as cdr.c takes them */

struct flush {
	struct db *db;
	char batch_size[16];
	int batch_rows; /* the same */
	int take;       /* rows of the next batch, more when many wait */
	char workers[16];
	struct cdr cdr;
	struct flushraw raw;
	struct buf lines;
	struct buf ids;
	struct row *rows;
	size_t row_count;
	bool unadopted; /* legs were stored since adopt() */
	int64_t adopted_ms;
	long moved; /* since the queue's tables were looked at */
	bool looked;
	/* partitions that are known to be there */
	bool months[MONTHS];
};

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "no memory for a batch of CDRs");
}

struct flush *
flush_new(bool follow, struct verr *e)
{
	bool replicated = strcmp(conf_str("cdr_durability"), "replicated") == 0;
	const char *session[] = {
		replicated ? "set synchronous_commit to remote_write"
			   : "set synchronous_commit to local",
		create_sql,
		follow ? "listen voip_cdr" : NULL,
		NULL,
	};
	struct db_options options = {
		.role = "voip_cdr_flush",
		.session_attrs = "read-write",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = conf_ms("database_timeout"),
		.session_sql = session,
	};
	struct flush *f = calloc(1, sizeof(*f));

	if (!f) {
		no_memory(e);
		return NULL;
	}
	f->lines = f->ids = BUF_INIT;
	flushraw_init(&f->raw);
	f->batch_rows = (int)conf_int("cdr_batch_size");
	f->take = f->batch_rows;
	snprintf(f->batch_size, sizeof(f->batch_size), "%d", f->batch_rows);
	snprintf(f->workers, sizeof(f->workers), "%ld",
		 conf_int("cdr_workers"));
	f->rows = calloc((size_t)f->batch_rows * GROW_FACTOR, sizeof(*f->rows));
	if (!f->rows) {
		no_memory(e);
		goto fail;
	}
	if (options.timeout_ms < MIN_TIMEOUT_MS)
		options.timeout_ms = MIN_TIMEOUT_MS;
	f->db = db_new(&options, e);
	if (!f->db)
		goto fail;
	return f;
fail:
	flush_free(f);
	return NULL;
}

void
flush_free(struct flush *f)
{
	if (!f)
		return;
	db_free(f->db);
	cdr_release(&f->cdr);
	buf_release(&f->lines);
	buf_release(&f->ids);
	free(f->rows);
	free(f);
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

/* The row's record in f->cdr.  VERR_INPUT: it belongs to the dead letters. */
static int
parse_row(struct flush *f, const struct db_result *r, int i, struct verr *e)
{
	f->cdr.want_raw = flushraw_wants(&f->raw);
	if (cdr_parse(&f->cdr, db_value(r, i, QUEUE_BODY),
		      db_length(r, i, QUEUE_BODY), e) == -1)
		return -1;
	return check_start(&f->cdr, e);
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

static int
add_row(struct flush *f, const struct db_result *r, int i, struct verr *e)
{
	struct row *row = &f->rows[f->row_count++];
	bool keeps_raw;

	if (flushraw_take(&f->raw, f->db, &f->cdr, &keeps_raw, e) == -1)
		return -1;
	row->id = db_value(r, i, QUEUE_ID);
	row->start = f->lines.len;
	snprintf(row->leg_uuid, sizeof(row->leg_uuid), "%s",
		 f->cdr.value[CDR_LEG_UUID]);
	snprintf(row->start_time, sizeof(row->start_time), "%s",
		 f->cdr.value[CDR_START_TIME]);
	for (int field = 0; field < CDR_FIELD_COUNT; field++) {
		copy_value(&f->lines, f->cdr.value[field]);
		buf_putc(&f->lines, '\t');
	}
	copy_value(&f->lines, db_value(r, i, QUEUE_RECEIVED));
	buf_putc(&f->lines, '\t');
	db_copy_field(&f->lines, keeps_raw ? f->cdr.raw.data : NULL,
		      f->cdr.raw.len);
	buf_putc(&f->lines, '\n');
	row->len = f->lines.len - row->start;
	return 0;
}

/* `leg_uuid`, `start_time` and `sqlstate` may be NULL. */
static int
bury(struct flush *f, const char *id, const char *leg_uuid,
     const char *start_time, const char *sqlstate, const char *reason,
     struct flush_counts *counts, struct verr *e)
{
	struct buf text = BUF_INIT;
	int rc;

	/* cut within a character, it would be refused, for ever */
	utf8_repair(&text, reason, strlen(reason));
	log_event(LOG_LEVEL_WARNING, "cdr_dead", "queue_id", id, "leg_uuid",
		  leg_uuid, "reason", reason, "sqlstate", sqlstate, NULL);
	counts->dead++;
	if (buf_failed(&text))
		rc = no_memory(e);
	else
		rc = db_query(f->db, NULL, dead_sql, 5,
			      (const struct db_param[]){
				      DB_TEXT(id), DB_TEXT(leg_uuid),
				      DB_TEXT(start_time), DB_TEXT(text.data),
				      DB_TEXT(sqlstate) },
			      e);
	buf_release(&text);
	return rc;
}

/* A month that is met for the first time gets its partition. */
static int
make_partition(struct flush *f, struct verr *e)
{
	time_t seconds = (time_t)(f->cdr.start_us / 1000000);
	struct tm tm;
	int month;

	gmtime_r(&seconds, &tm);
	month = (tm.tm_year - 100) * 12 + tm.tm_mon;
	if (month < 0 || month >= MONTHS || f->months[month])
		return 0;
	if (db_query(f->db, NULL, "select voip.cdr_partition($1::timestamptz)",
		     1, &DB_TEXT(f->cdr.value[CDR_START_TIME]), e) == -1)
		return -1;
	f->months[month] = true;
	return 0;
}

/* --- into the table ---------------------------------------------------------
 */

static int
copy_rows(struct flush *f, size_t from, size_t to, struct verr *e)
{
	const struct row *first = &f->rows[from], *last = &f->rows[to - 1];

	if (db_copy_begin(f->db, copy_sql, e) == -1 ||
	    db_copy_data(f->db, f->lines.data + first->start,
			 last->start + last->len - first->start, e) == -1)
		return -1;
	return db_copy_end(f->db, e);
}

static int
insert_rows(struct flush *f, size_t from, size_t to,
	    struct flush_counts *counts, struct verr *e)
{
	struct db_result *r = NULL;
	long stored;

	if (copy_rows(f, from, to, e) == -1 ||
	    db_query(f->db, &r, insert_sql, 0, NULL, e) == -1)
		return -1;
	if (flushraw_store(&f->raw, f->db, e) == -1) {
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
store_rows(struct flush *f, size_t from, size_t to, struct flush_counts *counts,
	   struct verr *e)
{
	const struct row *row = &f->rows[from];
	struct verr failure = VERR_INIT;
	char state[6];

	if (from == to)
		return 0;
	if (db_script(f->db, "savepoint flush", e) == -1)
		return -1;
	if (insert_rows(f, from, to, counts, &failure) == 0)
		return to - from == f->row_count
			       ? 0
			       : db_script(f->db,
					   "delete from pg_temp.cdr_batch", e);
	if (!is_row_fault(f->db)) {
		*e = failure;
		return -1;
	}
	snprintf(state, sizeof(state), "%s", db_sqlstate(f->db));
	if (db_script(f->db, "rollback to savepoint flush", e) == -1)
		return -1;
	if (to - from == 1)
		return bury(f, row->id, row->leg_uuid, row->start_time, state,
			    failure.msg, counts, e);
	if (store_rows(f, from, from + (to - from) / 2, counts, e) == -1)
		return -1;
	return store_rows(f, from + (to - from) / 2, to, counts, e);
}

/* Parse what was taken; the bad ones are buried at once. */
static int
read_rows(struct flush *f, const struct db_result *r,
	  struct flush_counts *counts, struct verr *e)
{
	buf_clear(&f->lines);
	buf_clear(&f->ids);
	f->row_count = 0;
	db_array_begin(&f->ids, DB_ARRAY_INT8);
	for (int i = 0; i < db_rows(r); i++) {
		struct verr bad = VERR_INIT;
		const char *id = db_value(r, i, QUEUE_ID);

		db_array_add_int8(&f->ids, strtoll(id, NULL, 10));
		if (parse_row(f, r, i, &bad) == 0) {
			counts->mismatched += is_mismatched(
				db_value(r, i, QUEUE_UUID), &f->cdr);
			if (add_row(f, r, i, e) == -1 ||
			    make_partition(f, e) == -1)
				return -1;
		} else if (bad.kind != VERR_INPUT) {
			*e = bad;
			return -1;
		} else if (bury(f, id, f->cdr.value[CDR_LEG_UUID],
				f->cdr.value[CDR_START_TIME], NULL, bad.msg,
				counts, e) == -1) {
			return -1;
		}
	}
	db_array_end(&f->ids);
	if (buf_failed(&f->lines) || buf_failed(&f->ids))
		return no_memory(e);
	return 0;
}

/* Whether there is a place for us, in `*busy`. */
static int
take_place(struct flush *f, bool *busy, struct verr *e)
{
	struct db_result *r = NULL;

	if (db_query(f->db, &r, place_sql, 1, &DB_TEXT(f->workers), e) == -1)
		return -1;
	*busy = db_rows(r) == 0;
	db_result_free(r);
	return 0;
}

/* When all that were asked for came, more are likely to wait. */
static int
next_take(const struct flush *f, const struct db_result *r)
{
	int rows = db_rows(r), most = f->batch_rows * GROW_FACTOR;
	size_t bytes = 1, fit;

	if (rows < f->take)
		return f->batch_rows;
	for (int i = 0; i < rows; i++)
		bytes += db_length(r, i, QUEUE_BODY);
	fit = (size_t)rows * GROW_BYTES / bytes;
	if (fit < (size_t)f->batch_rows)
		return f->batch_rows;
	return fit < (size_t)most ? (int)fit : most;
}

/* Within the transaction; `*taken` rows are done with when it commits. */
static int
move_rows(struct flush *f, int *taken, struct flush_counts *counts,
	  struct verr *e)
{
	struct db_result *r = NULL;
	char limit[16];
	int rc = -1;

	snprintf(limit, sizeof(limit), "%d", f->take);
	if (take_place(f, &counts->busy, e) == -1)
		return -1;
	if (counts->busy)
		return 0;
	if (db_query_binary(f->db, &r, take_sql, 1, &DB_TEXT(limit), e) == -1)
		return -1;
	*taken = db_rows(r);
	f->take = next_take(f, r);
	if (*taken == 0)
		rc = 0;
	else if (read_rows(f, r, counts, e) == 0 &&
		 store_rows(f, 0, f->row_count, counts, e) == 0)
		rc = db_query(f->db, NULL, delete_sql, 1,
			      &DB_BYTES(f->ids.data, f->ids.len), e);
	db_result_free(r);
	return rc;
}

static int
flush_batch(struct flush *f, int *taken, struct flush_counts *counts,
	    struct verr *e)
{
	struct flush_counts batch = { 0 };

	*taken = 0;
	if (db_begin(f->db, e) == -1)
		return -1;
	if (move_rows(f, taken, &batch, e) == -1 || db_commit(f->db, e) == -1) {
		db_rollback(f->db);
		/* what the transaction made is gone with it */
		memset(f->months, 0, sizeof(f->months));
		flushraw_forget(&f->raw);
		return -1;
	}
	counts->stored += batch.stored;
	counts->duplicates += batch.duplicates;
	counts->dead += batch.dead;
	counts->mismatched += batch.mismatched;
	counts->busy = batch.busy;
	return 0;
}

/* What was deleted takes room until its table is truncated (0003-cdr.sql). */
static void
rotate(struct flush *f)
{
	struct verr e = VERR_INIT;

	if (f->looked && f->moved < ROTATE_AFTER)
		return;
	f->looked = true;
	f->moved = 0;
	if (db_query(f->db, NULL, rotate_sql, 0, NULL, &e) == -1)
		log_warning("the queue's tables stay as they are: %s", e.msg);
}

/* Legs without a tenant take that of the leg they were made for, which may have
 * come later (0003-cdr.sql). */
static void
adopt(struct flush *f)
{
	struct verr e = VERR_INIT;
	int64_t now_ms = loop_now_ms();

	if (!f->unadopted ||
	    (f->adopted_ms && now_ms < f->adopted_ms + ADOPT_EVERY_MS))
		return;
	f->unadopted = false;
	f->adopted_ms = now_ms;
	if (db_query(f->db, NULL, adopt_sql, 0, NULL, &e) == -1)
		log_warning("legs stay without their tenant: %s", e.msg);
}

/* --- again and again --------------------------------------------------------
 */

static bool
wait_stop(int stop_fd, int64_t timeout_ms)
{
	struct pollfd p = { .fd = stop_fd, .events = POLLIN };

	return poll(&p, 1, (int)timeout_ms) > 0;
}

int
flush_run(struct flush *f, int stop_fd, struct flush_counts *counts,
	  struct verr *e)
{
	int taken, asked;

	do {
		asked = f->take;
		if (flush_batch(f, &taken, counts, e) == -1)
			return verr_wrap(e, "cannot flush the CDR queue");
		f->moved += taken;
		f->unadopted |= taken > 0;
		if (taken < asked || f->moved >= 4L * ROTATE_AFTER)
			rotate(f);
	} while (taken == asked && !wait_stop(stop_fd, 0));
	adopt(f);
	return 0;
}

/* One wait, and what else was said meanwhile with it. */
static int
wait_more(struct flush *f, int stop_fd, struct verr *e)
{
	struct buf channel = BUF_INIT, payload = BUF_INIT;
	int64_t timeout_ms = conf_ms("cdr_batch_timeout");
	int n = db_wait_notify(f->db, timeout_ms > 0 ? timeout_ms : 1000,
			       stop_fd, &channel, &payload, e);

	while (n == 1)
		n = db_wait_notify(f->db, 0, -1, &channel, &payload, e);
	buf_release(&channel);
	buf_release(&payload);
	return n;
}

int
flush_follow(struct flush *f, int stop_fd, struct flush_counts *counts,
	     struct verr *e)
{
	bool away = false;
	int64_t pause_ms = 0;

	while (!wait_stop(stop_fd, pause_ms)) {
		struct verr failure = VERR_INIT;
		int64_t started_ms = loop_now_ms();

		if (flush_run(f, stop_fd, counts, &failure) == 0) {
			if (away)
				log_info("the database is back");
			away = false;
			if (wait_more(f, stop_fd, &failure) == 0) {
				pause_ms =
					started_ms + GATHER_MS - loop_now_ms();
				if (pause_ms < 0)
					pause_ms = 0;
				continue;
			}
		}
		if (failure.kind != VERR_RETRY) {
			*e = failure;
			return -1;
		}
		if (!away)
			log_warning("%s", failure.msg);
		away = true;
		pause_ms = 0;
		if (wait_stop(stop_fd, conf_ms("database_backoff")))
			break;
	}
	return 0;
}

int
flush_dry_run(struct flush *f, struct flush_counts *counts, struct verr *e)
{
	char last[24] = "0";
	int rows;

	do {
		const struct db_param params[] = { DB_TEXT(last),
						   DB_TEXT(f->batch_size) };
		struct db_result *r = NULL;

		if (db_query_binary(f->db, &r, look_sql, 2, params, e) == -1)
			return verr_wrap(e, "cannot read the CDR queue");
		rows = db_rows(r);
		for (int i = 0; i < rows; i++) {
			struct verr bad = VERR_INIT;
			const char *id = db_value(r, i, QUEUE_ID);

			snprintf(last, sizeof(last), "%s", id);
			if (parse_row(f, r, i, &bad) == 0) {
				counts->stored++;
				continue;
			}
			counts->dead++;
			log_event(LOG_LEVEL_WARNING, "cdr_dead", "queue_id", id,
				  "reason", bad.msg, NULL);
		}
		db_result_free(r);
	} while (rows > 0);
	return 0;
}
