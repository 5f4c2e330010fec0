#include "cdrqueue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"
#include "utf8.h"

#define LOAD_MAX_BYTES (8 << 20)

/* The body, and then the texts in the order of text_of(). */
enum { BODY, RECEIVED_AT, PEER, QUERY_UUID, CONTENT_TYPE, REASON };

const char cdrqueue_sql[] =
	"with new as ("
	" select body, received_at::timestamptz, peer, query_uuid,"
	" content_type, reason"
	" from unnest($1::bytea[], $2::text[], $3::text[], $4::text[],"
	" $5::text[], $6::text[])"
	" as t (body, received_at, peer, query_uuid, content_type, reason)"
	"), dead as ("
	" insert into voip.cdr_dead"
	" (received_at, node, peer, query_uuid, content_type, body,"
	" body_sha256, reason)"
	" select received_at, $7::text, peer, query_uuid, content_type, body,"
	" sha256(body), reason"
	" from new where reason is not null"
	" on conflict (body_sha256) do nothing"
	") insert into voip.cdr_queue"
	" (received_at, node, peer, query_uuid, content_type, body)"
	" select received_at, $7::text, peer, query_uuid, content_type, body"
	" from new where reason is null";

static const char *
node_name(void)
{
	static char name[65];

	if (!*name && gethostname(name, sizeof(name) - 1) == -1)
		snprintf(name, sizeof(name), "localhost");
	return name;
}

void
cdrqueue_init(struct cdrqueue_batch *b)
{
	b->count = 0;
	b->bytes = 0;
	for (size_t i = 0; i < CDRQUEUE_COLUMNS; i++) {
		b->columns[i] = BUF_INIT;
		db_array_begin(&b->columns[i],
			       i == BODY ? DB_ARRAY_BYTEA : DB_ARRAY_TEXT);
	}
}

void
cdrqueue_release(struct cdrqueue_batch *b)
{
	for (size_t i = 0; i < CDRQUEUE_COLUMNS; i++)
		buf_release(&b->columns[i]);
	b->count = 0;
	b->bytes = 0;
}

static void
add_text(struct buf *column, const char *text)
{
	struct buf repaired = BUF_INIT;

	if (!text) {
		db_array_add_null(column);
		return;
	}
	utf8_repair(&repaired, text, strlen(text));
	db_array_add(column, repaired.data, repaired.len);
	if (buf_failed(&repaired))
		column->failed = true;
	buf_release(&repaired);
}

void
cdrqueue_add(struct cdrqueue_batch *b, const struct cdrqueue_row *row)
{
	db_array_add(&b->columns[BODY], row->body, row->len);
	add_text(&b->columns[RECEIVED_AT], row->received_at);
	add_text(&b->columns[PEER], row->peer);
	add_text(&b->columns[QUERY_UUID], row->query_uuid);
	add_text(&b->columns[CONTENT_TYPE], row->content_type);
	add_text(&b->columns[REASON], row->reason);
	b->count++;
	b->bytes += row->len;
}

int
cdrqueue_params(struct cdrqueue_batch *b,
		struct db_param params[CDRQUEUE_PARAMS], struct verr *e)
{
	for (size_t i = 0; i < CDRQUEUE_COLUMNS; i++) {
		db_array_end(&b->columns[i]);
		if (buf_failed(&b->columns[i]))
			return verr_set(e, VERR_RETRY,
					"out of memory for a batch of CDRs");
		params[i] = DB_BYTES(b->columns[i].data, b->columns[i].len);
	}
	params[CDRQUEUE_COLUMNS] = DB_TEXT(node_name());
	return 0;
}

int
cdrqueue_write(struct db *db, struct cdrqueue_batch *b, struct verr *e)
{
	struct db_param params[CDRQUEUE_PARAMS];

	if (cdrqueue_params(b, params, e) == -1)
		return -1;
	return db_query(db, NULL, cdrqueue_sql, CDRQUEUE_PARAMS, params, e);
}

/* Never the server's default: a 2xx of ours stands on it. */
void
cdrqueue_db_options(struct db_options *o)
{
	static const char *const replicated[] = {
		"set synchronous_commit = remote_write", NULL
	};
	static const char *const local[] = { "set synchronous_commit = local",
					     NULL };

	o->role = "voip_cdr_ingest";
	o->session_attrs = "read-write";
	o->session_sql = strcmp(conf_str("cdr_durability"), "local") == 0
				 ? local
				 : replicated;
}

void
cdrqueue_now(char out[32])
{
	struct timespec now;
	struct tm tm;
	char seconds[24];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 32, "%.19s.%06ldZ", seconds,
		 now.tv_nsec / 1000 % 1000000);
}

/* --- the spool -------------------------------------------------------- */

/* The fields of a row that a record keeps as headers. */
static const char *const headers[] = { "received-at", "peer", "query-uuid",
				       "content-type", "reason" };
#define HEADERS (sizeof(headers) / sizeof(headers[0]))

static const char **
text_of(struct cdrqueue_row *row, size_t i)
{
	const char **const texts[HEADERS] = { &row->received_at, &row->peer,
					      &row->query_uuid,
					      &row->content_type,
					      &row->reason };

	return texts[i];
}

int
cdrqueue_stage(struct spool *s, const struct cdrqueue_row *row, struct verr *e)
{
	struct cdrqueue_row copy = *row;
	struct spool_header list[HEADERS + 1];

	for (size_t i = 0; i < HEADERS; i++)
		list[i] =
			(struct spool_header){ headers[i], *text_of(&copy, i) };
	list[HEADERS].name = NULL;
	return spool_stage(s, list, row->body, row->len, e);
}

/* The row of a record; its texts are in `values`. */
static struct cdrqueue_row
row_of(const struct spool_record *r, struct buf values[HEADERS])
{
	struct cdrqueue_row row = { .body = r->body, .len = r->body_len };

	for (size_t i = 0; i < HEADERS; i++) {
		values[i] = BUF_INIT;
		if (spool_record_header(r, headers[i], &values[i]))
			*text_of(&row, i) = values[i].data;
	}
	return row;
}

static void
release_values(struct buf values[HEADERS])
{
	for (size_t i = 0; i < HEADERS; i++)
		buf_release(&values[i]);
}

static void
add_record(struct cdrqueue_batch *b, const struct spool_record *r)
{
	struct buf values[HEADERS];
	struct cdrqueue_row row = row_of(r, values);

	cdrqueue_add(b, &row);
	release_values(values);
}

/* Whatever a file holds that is no record: a dead letter, byte for byte. */
static void
add_dead(struct cdrqueue_batch *b, const struct spool_record *r,
	 const char *reason)
{
	struct cdrqueue_row row = { .body = r->content.data,
				    .len = r->content.len,
				    .reason = reason };
	char now[32];

	cdrqueue_now(now);
	row.received_at = now;
	cdrqueue_add(b, &row);
}

/* Takes over `name` when the record was added, or frees it. */
static int
load_one(struct spool *s, struct cdrqueue_batch *b, char *name, char **names,
	 size_t *count, struct verr *e)
{
	struct spool_record r;
	struct verr why = VERR_INIT;

	if (spool_read(s, name, &r, &why) == 0) {
		add_record(b, &r);
	} else if (why.kind == VERR_INPUT) {
		log_warning("%s; it becomes a dead letter", why.msg);
		add_dead(b, &r, why.msg);
	} else {
		free(name);
		if (why.kind == VERR_NOTFOUND)
			return 0;
		*e = why;
		return -1;
	}
	spool_record_release(&r);
	names[(*count)++] = name;
	return 0;
}

int
cdrqueue_condemn(struct spool *s, const char *name, const char *reason,
		 struct verr *e)
{
	struct spool_record r;
	struct buf values[HEADERS];
	struct cdrqueue_row row;
	char now[32];
	int rc;

	if (spool_read(s, name, &r, e) == -1) {
		if (e->kind == VERR_INPUT)
			spool_record_release(&r);
		return e->kind == VERR_INPUT ? spool_set_aside(s, name, e) : -1;
	}
	row = row_of(&r, values);
	cdrqueue_now(now);
	row.received_at = now;
	if (row.reason) {
		/* not even as a dead letter */
		rc = spool_set_aside(s, name, e);
	} else {
		row.reason = reason;
		rc = cdrqueue_stage(s, &row, e);
		if (rc == 0)
			rc = spool_publish(s, e);
		if (rc == 0)
			rc = spool_remove(s, name, e);
	}
	release_values(values);
	spool_record_release(&r);
	return rc;
}

int
cdrqueue_load(struct spool *s, struct cdrqueue_batch *b, size_t max,
	      char **names, size_t *count, struct verr *e)
{
	struct verr failed = VERR_INIT;
	char **all;
	size_t n, i = 0;

	*count = 0;
	if (spool_list(s, max, &all, &n, e) == -1)
		return -1;
	/* One that cannot be read does not hold up the others. */
	for (; i < n && b->bytes < LOAD_MAX_BYTES; i++)
		load_one(s, b, all[i], names, count, &failed);
	for (; i < n; i++)
		free(all[i]);
	free(all);
	if (*count || failed.kind == VERR_NONE)
		return 0;
	*e = failed;
	return -1;
}
