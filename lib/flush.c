#include "flush.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "flushbatch.h"
#include "flushstore.h"
#include "log.h"
#include "loop.h"

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

/* One of the places for flushers, until the transaction ends; no row: all are
 * taken.  The first number is ours, "VFLU". */
static const char place_sql[] =
	"select n from generate_series(1, $1::integer) as n "
	"where pg_try_advisory_xact_lock(1447447637, n) limit 1";

static const char take_sql[] =
	"select " FLUSHBATCH_COLUMNS
	" from voip.cdr_queue as q order by q.id limit $1 "
	"for update skip locked";

/* Without locks: whoever deletes them first has stored them. */
static const char look_sql[] = "select " FLUSHBATCH_COLUMNS
			       " from voip.cdr_queue as q where q.id > $1 "
			       "order by q.id limit $2";

static const char delete_sql[] =
	"delete from voip.cdr_queue where id = any($1::bigint[])";

static const char adopt_sql[] = "select voip.cdr_adopt()";

static const char rotate_sql[] = "select voip.cdr_queue_rotate()";

struct flush {
	struct db *db;
	struct flushstore store;
	/* The batch that is stored, and the one after it. */
	struct flushbatch batches[2];
	struct flushbatch *batch, *ahead;
	struct db_result *ahead_rows; /* not yet parsed */
	bool one;                     /* no other flusher: it may read ahead */
	bool is_ahead;                /* the batch was read ahead */
	bool missed;    /* somebody else took what was read ahead */
	int batch_rows; /* cdr_batch_size */
	int asked;      /* rows that were asked for */
	int take;       /* rows of the next batch, more when many wait */
	char workers[16];
	bool unadopted; /* legs were stored since adopt() */
	int64_t adopted_ms;
	long moved; /* since the queue's tables were looked at */
	bool looked;
};

static void read_ahead(void *arg);

struct flush *
flush_new(bool follow, struct verr *e)
{
	bool replicated = strcmp(conf_str("cdr_durability"), "replicated") == 0;
	const char *session[] = {
		replicated ? "set synchronous_commit to remote_write"
			   : "set synchronous_commit to local",
		flushstore_sql,
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
		verr_set(e, VERR_RETRY, "no memory for a flusher");
		return NULL;
	}
	f->batch = &f->batches[0];
	f->ahead = &f->batches[1];
	f->batch_rows = (int)conf_int("cdr_batch_size");
	f->take = f->batch_rows;
	f->one = conf_int("cdr_workers") == 1;
	snprintf(f->workers, sizeof(f->workers), "%ld",
		 conf_int("cdr_workers"));
	if (flushbatch_init(f->batch, f->batch_rows * GROW_FACTOR, e) == -1 ||
	    flushbatch_init(f->ahead, f->batch_rows * GROW_FACTOR, e) == -1)
		goto fail;
	if (options.timeout_ms < MIN_TIMEOUT_MS)
		options.timeout_ms = MIN_TIMEOUT_MS;
	f->db = db_new(&options, e);
	if (!f->db)
		goto fail;
	flushstore_init(&f->store, f->db);
	f->store.meanwhile = read_ahead;
	f->store.arg = f;
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
	db_result_free(f->ahead_rows);
	db_free(f->db);
	flushbatch_release(&f->batches[0]);
	flushbatch_release(&f->batches[1]);
	free(f);
}

/* --- a batch ahead ----------------------------------------------------------
 */

static void
forget_ahead(struct flush *f)
{
	db_result_free(f->ahead_rows);
	f->ahead_rows = NULL;
	flushbatch_clear(f->ahead);
}

/* When all that were asked for came, more are likely to wait. */
static int
next_take(const struct flush *f, const struct flushbatch *b)
{
	int most = f->batch_rows * GROW_FACTOR;
	size_t fit;

	if (b->taken < f->asked)
		return f->batch_rows;
	fit = (size_t)b->taken * GROW_BYTES / (b->bytes + 1);
	if (fit < (size_t)f->batch_rows)
		return f->batch_rows;
	return fit < (size_t)most ? (int)fit : most;
}

/*
 * What comes after a full batch is fetched before that is stored, and parsed
 * while the server stores it, which takes longer.
 */
static int
look_ahead(struct flush *f, struct verr *e)
{
	char limit[16];

	forget_ahead(f);
	if (!f->one || f->batch->taken < f->asked)
		return 0;
	snprintf(limit, sizeof(limit), "%d", f->take);
	return db_query_binary(
		f->db, &f->ahead_rows, look_sql, 2,
		(const struct db_param[]){ DB_TEXT(f->batch->last),
					   DB_TEXT(limit) },
		e);
}

/* What fails here fails again when the batch is taken in its turn. */
static void
read_ahead(void *arg)
{
	struct flush *f = arg;
	struct verr e = VERR_INIT;

	if (!f->ahead_rows)
		return;
	flushbatch_read(f->ahead, f->ahead_rows, &f->store.raw, &e);
	db_result_free(f->ahead_rows);
	f->ahead_rows = NULL;
}

/* --- a batch ----------------------------------------------------------------
 */

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

/* The rows that come first in the queue, or that were read ahead. */
static int
take_rows(struct flush *f, struct verr *e)
{
	struct flushbatch *ahead = f->ahead;
	struct db_result *r = NULL;
	char limit[16];
	int rc;

	f->asked = f->take;
	f->is_ahead = ahead->taken > 0;
	if (f->is_ahead) {
		f->ahead = f->batch;
		f->batch = ahead;
		return 0;
	}
	snprintf(limit, sizeof(limit), "%d", f->take);
	if (db_query_binary(f->db, &r, take_sql, 1, &DB_TEXT(limit), e) == -1)
		return -1;
	rc = flushbatch_read(f->batch, r, &f->store.raw, e);
	db_result_free(r);
	return rc;
}

static int
delete_rows(struct flush *f, struct verr *e)
{
	const struct flushbatch *b = f->batch;
	struct db_result *r;

	if (db_query(f->db, &r, delete_sql, 1,
		     &DB_BYTES(b->ids.data, b->ids.len), e) == -1)
		return -1;
	f->missed = f->is_ahead && db_affected(r) != b->taken;
	db_result_free(r);
	return 0;
}

/* Within the transaction; the batch is done with when it commits. */
static int
move_rows(struct flush *f, struct flush_counts *counts, struct verr *e)
{
	if (take_place(f, &counts->busy, e) == -1)
		return -1;
	if (counts->busy)
		return 0;
	if (take_rows(f, e) == -1)
		return -1;
	f->take = next_take(f, f->batch);
	if (f->batch->taken == 0)
		return 0;
	if (look_ahead(f, e) == -1 ||
	    flushstore_batch(&f->store, f->batch, counts, e) == -1)
		return -1;
	return delete_rows(f, e);
}

static int
flush_batch(struct flush *f, struct flush_counts *counts, struct verr *e)
{
	struct flush_counts batch = { 0 };

	f->missed = false;
	if (db_begin(f->db, e) == -1)
		return -1;
	if (move_rows(f, &batch, e) == -1 || f->missed ||
	    db_commit(f->db, e) == -1) {
		db_rollback(f->db);
		flushstore_forget(&f->store);
		forget_ahead(f);
		return f->missed ? 0 : -1;
	}
	counts->stored += batch.stored;
	counts->duplicates += batch.duplicates;
	counts->dead += batch.dead;
	counts->mismatched += batch.mismatched;
	counts->busy = batch.busy;
	if (batch.busy)
		forget_ahead(f);
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

/*
 * Rows that were committed late have numbers before those that were read
 * ahead, so the end is where a batch from the start is not full.
 */
static bool
is_more(const struct flush *f, const struct flush_counts *counts)
{
	if (counts->busy)
		return false;
	return f->missed || f->is_ahead || f->batch->taken == f->asked;
}

int
flush_run(struct flush *f, int stop_fd, struct flush_counts *counts,
	  struct verr *e)
{
	do {
		if (flush_batch(f, counts, e) == -1)
			return verr_wrap(e, "cannot flush the CDR queue");
		if (!counts->busy && !f->missed) {
			f->moved += f->batch->taken;
			f->unadopted |= f->batch->taken > 0;
		}
		if (!is_more(f, counts) || f->moved >= 4L * ROTATE_AFTER)
			rotate(f);
	} while (is_more(f, counts) && !wait_stop(stop_fd, 0));
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
	struct flushbatch *b = f->batch;
	char last[24] = "0", limit[16];
	int rc;

	snprintf(limit, sizeof(limit), "%d", f->batch_rows);
	do {
		const struct db_param params[] = { DB_TEXT(last),
						   DB_TEXT(limit) };
		struct db_result *r = NULL;

		if (db_query_binary(f->db, &r, look_sql, 2, params, e) == -1)
			return verr_wrap(e, "cannot read the CDR queue");
		rc = flushbatch_read(b, r, &f->store.raw, e);
		db_result_free(r);
		if (rc == -1)
			return -1;
		snprintf(last, sizeof(last), "%s", b->last);
		counts->stored += (long)b->row_count;
		counts->dead += (long)b->dead_count;
		for (size_t i = 0; i < b->dead_count; i++)
			log_event(LOG_LEVEL_WARNING, "cdr_dead", "queue_id",
				  b->dead[i].id, "reason",
				  flushbatch_text(b, b->dead[i].reason), NULL);
	} while (b->taken > 0);
	return 0;
}
