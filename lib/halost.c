#include "halost.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "b64.h"
#include "cdrcompose.h"
#include "cdrsalvaged.h"
#include "hash.h"
#include "jsonmember.h"
#include "log.h"
#include "loop.h"
#include "out.h"
#include "utf8.h"

/* Blocks of 8 KiB that are read at once: their rows may have large bodies. */
#define BLOCKS 8
#define KEYS   3

enum form { BODY, CDR, ROW };

/* The row's transaction and its key, which comes first in each. */
#define FROM(relation)                                            \
	" from voip." relation " as r where r.tableoid = $1::oid" \
	" and r.ctid >= $2::tid and r.ctid < $3::tid order by r.ctid"

#define TIME_US(column) \
	"(extract(epoch from r." column ") * 1000000)::bigint::text"
#define CELL_TEXT(column)                   "r." column
#define CELL_KEY(column)                    "r." column
#define CELL_NAME(column)                   "r." column
#define CELL_UTIME(column)                  TIME_US(column)
#define CELL_TIME(column)                   "extract(epoch from r." column ")::bigint::text"
#define CELL_INT(column)                    "r." column "::text"
#define CELL_DECIMAL(column)                "r." column "::text"
#define CELL_BOOL(column)                   "r." column "::text"
#define CDR_CELL(id, column, type, sources) "," CELL_##type(column)

/* Columns after the key; BODY's and CDR's are met by name. */
#define BODY_COLUMNS                                                           \
	", r.body, r.received_at::text as received_at, r.query_uuid, r.peer, " \
	"r.node, r.content_type"

/* clang-format off */
static const struct relation {
	const char *name, *qualified;
	enum form form;
	/* xmin, then the key of KEYS parts, then what is written */
	const char *rows;
	/* which of $1, $2, $3, arrays of the parts, the other side has */
	const char *known;
} relations[HA_LOST_COUNT] = {
	[HA_LOST_QUEUE] = { "cdr_queue", "voip.cdr_queue", BODY,
	  "select r.xmin::text, encode(sha256(r.body), 'hex'), null::text,"
	  " null::text" BODY_COLUMNS ", null::text as reason"
	  FROM("cdr_queue"),
	  /* as it is, as the record that it became, or as a dead letter */
	  "select k.n::text from unnest($1::text[], $2::text[], $3::text[])"
	  " with ordinality as k(a, b, c, n) where k.a in (select"
	  " encode(sha256(q.body), 'hex') from voip.cdr_queue as q)"
	  " or exists (select from voip.cdr as c"
	  " where c.start_time = k.b::timestamptz and c.leg_uuid = k.c)"
	  " or exists (select from voip.cdr_dead as d"
	  " where d.body_sha256 = decode(k.a, 'hex'))" },
	[HA_LOST_CDR] = { "cdr", "voip.cdr", CDR,
	  "select r.xmin::text, r.start_time::text as start_time, r.leg_uuid,"
	  " null::text, (select w.body from voip.cdr_raw as w"
	  " where w.start_time = r.start_time and w.leg_uuid = r.leg_uuid)"
	  " as body, r.received_at::text as received_at"
	  CDR_FIELDS(CDR_CELL) FROM("cdr"),
	  "select k.n::text from unnest($1::text[], $2::text[], $3::text[])"
	  " with ordinality as k(a, b, c, n) where exists (select"
	  " from voip.cdr as c where c.start_time = k.a::timestamptz"
	  " and c.leg_uuid = k.b)" },
	[HA_LOST_DEAD] = { "cdr_dead", "voip.cdr_dead", BODY,
	  "select r.xmin::text, encode(r.body_sha256, 'hex'), null::text,"
	  " null::text" BODY_COLUMNS ", r.reason" FROM("cdr_dead"),
	  "select k.n::text from unnest($1::text[], $2::text[], $3::text[])"
	  " with ordinality as k(a, b, c, n) where exists (select"
	  " from voip.cdr_dead as d where d.body_sha256 = decode(k.a, 'hex'))" },
	[HA_LOST_RECORDINGS] = { "recordings", "voip.recordings", ROW,
	  "select r.xmin::text, r.file_path, null::text, null::text,"
	  " to_json(r)::text" FROM("recordings"),
	  "select k.n::text from unnest($1::text[], $2::text[], $3::text[])"
	  " with ordinality as k(a, b, c, n) where exists (select"
	  " from voip.recordings as o where o.file_path = k.a)" },
	/* with who changed it */
	[HA_LOST_AUDIT] = { "audit", "voip.audit", ROW,
	  "select r.xmin::text, r.change_id::text, r.id::text, md5(r::text),"
	  " (to_jsonb(r) || jsonb_build_object('change', (select to_jsonb(c)"
	  " from voip.change as c where c.id = r.change_id)))::text"
	  FROM("audit"),
	  "select k.n::text from unnest($1::text[], $2::text[], $3::text[])"
	  " with ordinality as k(a, b, c, n) where exists (select"
	  " from voip.audit as o where o.change_id = k.a::bigint"
	  " and o.id = k.b::bigint and md5(o::text) = k.c)" },
};
/* clang-format on */

/* Where the columns begin that are written. */
#define FIRST_COLUMN (1 + KEYS)
/* Of a CDR: after its body and received_at. */
#define FIRST_FIELD (FIRST_COLUMN + 2)

const char *
ha_lost_name(enum ha_lost_relation r)
{
	return relations[r].name;
}

bool
ha_lost_is_cdr(enum ha_lost_relation r)
{
	return relations[r].form != ROW;
}

struct search {
	struct db *own, *other;
	const struct ha_wal *wal;
	int64_t *xids; /* sorted */
	int64_t end_ms;
	ha_lost_fn fn;
	void *arg;
	struct ha_lost_counts *counts;
	enum ha_lost_relation at;
	struct cdr cdr;
};

static int
no_memory(struct verr *e)
{
	return verr_set(e, VERR_RETRY, "out of memory");
}

/* --- lines ------------------------------------------------------------ */

static void
add_body(struct buf *line, const char *body, size_t len)
{
	if (!memchr(body, '\0', len) && utf8_valid(body, len)) {
		buf_puts(line, ",\"body\":");
		out_json_string(line, body, len);
		return;
	}
	buf_puts(line, ",\"body_base64\":\"");
	b64_encode(line, body, len);
	buf_putc(line, '"');
}

static void
write_body(struct buf *line, const struct db_result *r, int row)
{
	static const char *const names[] = { "received_at",  "query_uuid",
					     "peer",         "node",
					     "content_type", "reason" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		jsonmember_add_string(line, names[i],
				      db_field(r, row, names[i]));
	add_body(line, db_value(r, row, FIRST_COLUMN),
		 db_length(r, row, FIRST_COLUMN));
}

/* The body that was kept, if it still makes the same columns. */
static void
write_cdr(struct search *s, struct buf *line, const struct db_result *r,
	  int row)
{
	const char *values[CDR_FIELD_COUNT], *kept, *differs;
	struct buf body = BUF_INIT;
	size_t len = db_length(r, row, FIRST_COLUMN);

	for (int f = 0; f < CDR_FIELD_COUNT; f++)
		values[f] = db_value(r, row, FIRST_FIELD + f);
	kept = db_value(r, row, FIRST_COLUMN);
	jsonmember_add_string(line, "leg_uuid", values[CDR_LEG_UUID]);
	jsonmember_add_string(line, "start_time", db_value(r, row, 1));
	jsonmember_add_string(line, "received_at",
			      db_field(r, row, "received_at"));
	if (kept && !cdr_compose_check(&s->cdr, kept, len, values)) {
		add_body(line, kept, len);
		return;
	}
	cdr_compose(&body, values);
	differs = cdr_compose_check(&s->cdr, body.data, body.len, values);
	jsonmember_add_string(line, "differs", differs);
	add_body(line, body.data, body.len);
	line->failed = line->failed || body.failed;
	buf_release(&body);
}

static int
write_row(struct search *s, const struct db_result *r, int row, struct verr *e)
{
	const struct relation *rel = &relations[s->at];
	struct buf line = BUF_INIT;
	int rc;

	s->counts->rows[s->at]++;
	s->counts->all++;
	if (!s->fn)
		return 0;
	buf_printf(&line, CDRSALVAGED_MARK "%s\"", rel->name);
	switch (rel->form) {
	case BODY:
		write_body(&line, r, row);
		break;
	case CDR:
		write_cdr(s, &line, r, row);
		break;
	case ROW:
		buf_printf(&line, ",\"row\":%s",
			   db_value(r, row, FIRST_COLUMN));
		break;
	}
	buf_puts(&line, "}\n");
	rc = buf_failed(&line) ? no_memory(e) : s->fn(s->at, &line, s->arg, e);
	buf_release(&line);
	return rc;
}

/* --- keys ------------------------------------------------------------- */

/* A body that waits may be a record of the other side's by now. */
static void
add_leg(struct search *s, const struct db_result *r, int row,
	struct buf keys[KEYS])
{
	struct verr ignored = VERR_INIT;
	const char *leg = NULL, *start = NULL;

	if (cdr_parse(&s->cdr, db_value(r, row, FIRST_COLUMN),
		      db_length(r, row, FIRST_COLUMN), &ignored) == 0) {
		leg = s->cdr.value[CDR_LEG_UUID];
		start = s->cdr.value[CDR_START_TIME];
	}
	if (!leg || !start) {
		db_array_add_null(&keys[1]);
		db_array_add_null(&keys[2]);
		return;
	}
	db_array_add(&keys[1], start, strlen(start));
	db_array_add(&keys[2], leg, strlen(leg));
}

static void
add_keys(struct search *s, const struct db_result *r, int row,
	 struct buf keys[KEYS])
{
	int parts = s->at == HA_LOST_QUEUE ? 1 : KEYS;

	for (int k = 0; k < parts; k++) {
		const char *part = db_value(r, row, 1 + k);

		if (part)
			db_array_add(&keys[k], part, strlen(part));
		else
			db_array_add_null(&keys[k]);
	}
	if (s->at == HA_LOST_QUEUE)
		add_leg(s, r, row, keys);
}

/* Marks in `lost` what the other side has, too; that it cannot be asked is
 * told once. */
static int
leave_out(struct search *s, const struct buf keys[KEYS], char *lost, size_t n,
	  struct verr *e)
{
	struct db_param p[KEYS];
	struct verr why = VERR_INIT;
	struct db_result *r = NULL;

	for (int k = 0; k < KEYS; k++)
		p[k] = DB_BYTES(keys[k].data, keys[k].len);
	if (!s->counts->compared)
		return 0;
	if (db_query(s->other, &r, relations[s->at].known, KEYS, p, &why) ==
	    -1) {
		if (why.kind == VERR_RETRY) {
			*e = why;
			return -1;
		}
		s->counts->compared = false;
		log_warning("what the other side has is not known, all rows "
			    "since the fork are taken: %s",
			    why.msg);
		return 0;
	}
	for (int i = 0; i < db_rows(r); i++) {
		size_t at = (size_t)strtoul(db_value(r, i, 0), NULL, 10);

		if (at >= 1 && at <= n)
			lost[at - 1] = 0;
	}
	db_result_free(r);
	return 0;
}

/* --- blocks ----------------------------------------------------------- */

static int
by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
is_since(const struct search *s, const struct db_result *r, int row)
{
	int64_t xid = strtoll(db_value(r, row, 0), NULL, 10);

	return bsearch(&xid, s->xids, s->wal->xid_count, sizeof(xid),
		       by_number) != NULL;
}

/* Rows of some blocks: which are lost, then these as lines. */
static int
take_rows(struct search *s, const struct db_result *r, struct verr *e)
{
	struct buf keys[KEYS] = { BUF_INIT, BUF_INIT, BUF_INIT };
	size_t all = (size_t)db_rows(r), n = 0;
	char *lost = malloc(all + 1);
	int *rows = calloc(all + 1, sizeof(*rows)), rc = 0;

	if (!lost || !rows) {
		no_memory(e);
		rc = -1;
	}
	for (int k = 0; k < KEYS; k++)
		db_array_begin(&keys[k], DB_ARRAY_TEXT);
	for (size_t i = 0; i < all && rc == 0; i++) {
		if (!is_since(s, r, (int)i))
			continue;
		add_keys(s, r, (int)i, keys);
		lost[n] = 1;
		rows[n++] = (int)i;
	}
	for (int k = 0; k < KEYS && rc == 0; k++) {
		db_array_end(&keys[k]);
		if (buf_failed(&keys[k]))
			rc = no_memory(e);
	}
	if (rc == 0 && n)
		rc = leave_out(s, keys, lost, n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (lost[i])
			rc = write_row(s, r, rows[i], e);
	for (int k = 0; k < KEYS; k++)
		buf_release(&keys[k]);
	free(lost);
	free(rows);
	return rc;
}

static int
take_blocks(struct search *s, const char *oid, uint32_t from, uint32_t to,
	    struct verr *e)
{
	char low[32], high[32];
	const struct db_param p[] = { DB_TEXT(oid), DB_TEXT(low),
				      DB_TEXT(high) };
	struct db_result *r = NULL;
	int rc;

	if (loop_now_ms() >= s->end_ms)
		return verr_set(e, VERR_INPUT,
				"there was not enough time for all rows");
	snprintf(low, sizeof(low), "(%" PRIu32 ",0)", from);
	snprintf(high, sizeof(high), "(%" PRIu32 ",0)", to + 1);
	rc = db_query_binary(s->own, &r, relations[s->at].rows, 3, p, e);
	if (rc == 0)
		rc = take_rows(s, r, e);
	db_result_free(r);
	return rc;
}

/* A table, or a partition: blocks beside each other are read together. */
static int
take_table(struct search *s, uint32_t database, const char *oid,
	   uint32_t filenode, struct verr *e)
{
	const struct ha_wal_block *b = s->wal->blocks;
	size_t n = s->wal->block_count, end;

	for (size_t i = 0; i < n; i = end) {
		end = i + 1;
		if (b[i].database != database || b[i].filenode != filenode)
			continue;
		while (end < n && end - i < BLOCKS &&
		       b[end].database == database &&
		       b[end].filenode == filenode &&
		       b[end].block == b[end - 1].block + 1)
			end++;
		if (take_blocks(s, oid, b[i].block, b[end - 1].block, e) == -1)
			return -1;
	}
	return 0;
}

/* --- relations -------------------------------------------------------- */

/* A table's own, or its partitions'; one that is not there has none. */
static const char tables_sql[] =
	"select c.oid::text, pg_relation_filenode(c.oid)::text,"
	" (select d.oid from pg_database as d"
	" where d.datname = current_database())::text"
	" from pg_class as c where c.relkind = 'r' and (c.oid ="
	" to_regclass($1) or c.oid in (select t.relid"
	" from pg_partition_tree(to_regclass($1)) as t where t.isleaf))"
	" order by c.oid";

static int
take_relation(struct search *s, struct verr *e)
{
	const struct db_param p[] = { DB_TEXT(relations[s->at].qualified) };
	struct db_result *r = NULL;
	int rc = db_query(s->own, &r, tables_sql, 1, p, e);

	for (int i = 0; rc == 0 && i < db_rows(r); i++)
		rc = take_table(
			s, (uint32_t)strtoul(db_value(r, i, 2), NULL, 10),
			db_value(r, i, 0),
			(uint32_t)strtoul(db_value(r, i, 1), NULL, 10), e);
	db_result_free(r);
	return rc;
}

int
ha_lost_rows(struct db *own, struct db *other, const struct ha_wal *wal,
	     int64_t end_ms, ha_lost_fn fn, void *arg,
	     struct ha_lost_counts *counts, struct verr *e)
{
	struct search s = { .own = own,
			    .other = other,
			    .wal = wal,
			    .end_ms = end_ms,
			    .fn = fn,
			    .arg = arg,
			    .counts = counts,
			    .cdr = { .text = BUF_INIT } };
	int rc = 0;

	*counts = (struct ha_lost_counts){ .compared = other != NULL };
	s.xids = malloc((wal->xid_count + 1) * sizeof(*s.xids));
	if (!s.xids)
		return no_memory(e);
	if (wal->xid_count)
		memcpy(s.xids, wal->xids, wal->xid_count * sizeof(*s.xids));
	qsort(s.xids, wal->xid_count, sizeof(*s.xids), by_number);
	for (int r = 0; r < HA_LOST_COUNT && rc == 0; r++) {
		s.at = (enum ha_lost_relation)r;
		rc = take_relation(&s, e);
		if (rc == -1)
			verr_wrap(e, "voip.%s", relations[r].name);
	}
	cdr_release(&s.cdr);
	free(s.xids);
	return rc;
}
