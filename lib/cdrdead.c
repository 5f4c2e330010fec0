#include "cdrdead.h"

#include <string.h>

#define UTC(column)                              \
	"to_char(" column " at time zone 'UTC'," \
	" 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
#define COLUMNS                                               \
	"id::text, " UTC("dead_at") ", " UTC(                 \
		"received_at") ", peer,"                      \
			       " query_uuid, leg_uuid, " UTC( \
				       "start_time") ","      \
						     " length(body)::text, attempts::text, sqlstate, reason"

static const char list_sql[] =
	"select " COLUMNS
	" from voip.cdr_dead order by cdr_dead.dead_at desc, cdr_dead.id desc"
	" limit $1::bigint";

static const char show_sql[] =
	"select " COLUMNS " from voip.cdr_dead where id = $1::bigint";

static const char body_sql[] =
	"select body from voip.cdr_dead where id = $1::bigint";

static const char retry_sql[] =
	"with letter as (delete from voip.cdr_dead"
	" where $1::bigint is null or id = $1::bigint"
	" returning received_at, node, peer, query_uuid, content_type, body,"
	" attempts)"
	" insert into voip.cdr_queue (received_at, node, peer, query_uuid,"
	" content_type, body, attempts)"
	" select received_at, node, peer, query_uuid, content_type,"
	" coalesce($2::bytea, body), attempts from letter";

static const char drop_sql[] =
	"delete from voip.cdr_dead where $1::bigint is null or id = $1::bigint";

static int
not_found(const char *id, struct verr *e)
{
	return id ? verr_set(e, VERR_NOTFOUND, "there is no dead letter %s", id)
		  : verr_set(e, VERR_NOTFOUND, "there are no dead letters");
}

static int
check_id(const char *id, struct verr *e)
{
	if (*id && strspn(id, "0123456789") == strlen(id) && strlen(id) < 19)
		return 0;
	return verr_set(e, VERR_USAGE,
			"'%.40s' is no number of a dead letter\n"
			"hint: 'voip-cdr dead list' shows them",
			id);
}

int
cdrdead_list(struct db *db, struct db_result **r, unsigned limit,
	     struct verr *e)
{
	struct buf text = BUF_INIT;
	int rc;

	buf_printf(&text, "%u", limit);
	rc = db_query(db, r, list_sql, 1, &DB_TEXT(text.data), e);
	buf_release(&text);
	return rc;
}

int
cdrdead_show(struct db *db, struct db_result **r, const char *id,
	     struct verr *e)
{
	if (check_id(id, e) == -1 ||
	    db_query(db, r, show_sql, 1, &DB_TEXT(id), e) == -1)
		return -1;
	if (db_rows(*r))
		return 0;
	db_result_free(*r);
	*r = NULL;
	return not_found(id, e);
}

int
cdrdead_body(struct db *db, const char *id, struct buf *body, struct verr *e)
{
	struct db_result *r = NULL;
	int rc;

	if (check_id(id, e) == -1 ||
	    db_query(db, &r, body_sql, 1, &DB_TEXT(id), e) == -1)
		return -1;
	rc = db_rows(r) ? db_bytea(r, 0, 0, body, e) : not_found(id, e);
	db_result_free(r);
	return rc;
}

static int
change(struct db *db, const char *sql, int nparams, const char *id,
       const struct buf *body, long *n, struct verr *e)
{
	const struct db_param params[] = {
		DB_TEXT(id),
		body ? DB_BYTES(body->data, body->len) : DB_TEXT(NULL),
	};
	struct db_result *r = NULL;

	if ((id && check_id(id, e) == -1) ||
	    db_query(db, &r, sql, nparams, params, e) == -1)
		return -1;
	*n = db_affected(r);
	db_result_free(r);
	return *n ? 0 : not_found(id, e);
}

int
cdrdead_retry(struct db *db, const char *id, const struct buf *body, long *n,
	      struct verr *e)
{
	return change(db, retry_sql, 2, id, body, n, e);
}

int
cdrdead_drop(struct db *db, const char *id, long *n, struct verr *e)
{
	return change(db, drop_sql, 1, id, NULL, n, e);
}
