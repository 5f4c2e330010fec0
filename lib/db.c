/* One connection that keeps itself, and the calls that wait. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db_private.h"

/* --- life ------------------------------------------------------------- */

static bool
copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

static bool
copy_list(char ***to, const char *const *from)
{
	size_t n = 0;

	while (from && from[n])
		n++;
	*to = calloc(n + 1, sizeof(**to));
	if (!*to)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!copy_string(&(*to)[i], from[i]))
			return false;
	return true;
}

struct db *
db_new(const struct db_options *options, struct verr *e)
{
	static const struct db_options defaults;
	struct db *db = calloc(1, sizeof(*db));
	const struct db_options *o = options ? options : &defaults;

	if (!db || !copy_string(&db->conninfo, o->conninfo) ||
	    !copy_string(&db->dbname, o->dbname) ||
	    !copy_string(&db->role, o->role) ||
	    !copy_string(&db->session_attrs, o->session_attrs) ||
	    !copy_list(&db->session_sql, o->session_sql)) {
		db_free(db);
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	db->retry = o->retry;
	db->timeout_ms = o->timeout_ms;
	db->failures = BUF_INIT;
	db->last = &db->first;
	db->fd = -1;
	return db;
}

void
db_free(struct db *db)
{
	if (!db)
		return;
	db_async_release(db);
	db_disconnect(db);
	db_hosts_release(db);
	for (size_t i = 0; db->session_sql && db->session_sql[i]; i++)
		free(db->session_sql[i]);
	free(db->session_sql);
	free(db->conninfo);
	free(db->dbname);
	free(db->session_attrs);
	free(db->role);
	free(db->channel);
	free(db);
}

int64_t
db_timeout_ms(const struct db *db)
{
	return db->timeout_ms ? db->timeout_ms : conf_ms("database_timeout");
}

const char *
db_sqlstate(const struct db *db)
{
	return db->sqlstate;
}

/* --- waiting ---------------------------------------------------------- */

int
db_flush(struct db *db, int64_t deadline_ms, struct verr *e)
{
	int rc;

	while ((rc = PQflush(db->conn)) == 1) {
		/* The server may want us to read before it reads on. */
		if (db_wait_socket(db, POLLIN | POLLOUT, deadline_ms, -1) != 1)
			return db_error_deadline(db_timeout_ms(db), e);
		if (!PQconsumeInput(db->conn))
			return db_error_lost(db, e);
	}
	return rc == 0 ? 0 : db_error_lost(db, e);
}

/* The next result; NULL at the end of the statement is no error. */
static int
next_result(struct db *db, PGresult **r, int64_t deadline_ms, struct verr *e)
{
	*r = NULL;
	if (db_flush(db, deadline_ms, e) == -1)
		return -1;
	while (PQisBusy(db->conn)) {
		if (db_wait_socket(db, POLLIN, deadline_ms, -1) != 1)
			return db_error_deadline(db_timeout_ms(db), e);
		if (!PQconsumeInput(db->conn))
			return db_error_lost(db, e);
	}
	*r = PQgetResult(db->conn);
	return 0;
}

static bool
is_good(const PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_EMPTY_QUERY:
		return true;
	default:
		return false;
	}
}

int
db_collect(struct db *db, PGresult **keep, struct verr *e)
{
	int64_t deadline = loop_now_ms() + db_timeout_ms(db);
	PGresult *r, *last = NULL;
	int rc = 0;

	for (;;) {
		struct verr now = VERR_INIT;

		if (next_result(db, &r, deadline, rc ? &now : e) == -1) {
			PQclear(last);
			db_disconnect(db);
			return -1;
		}
		if (!r)
			break;
		if (!is_good(r)) {
			db_error_result(db, r, rc ? &now : e);
			rc = -1;
		}
		PQclear(last);
		last = r;
		if (PQresultStatus(r) == PGRES_COPY_IN ||
		    PQresultStatus(r) == PGRES_COPY_OUT)
			break;
	}
	if (rc == -1 && (db_error_is_fatal(db->sqlstate) ||
			 PQstatus(db->conn) == CONNECTION_BAD)) {
		PQclear(last);
		last = NULL;
		db_disconnect(db);
	}
	if (rc == 0 && keep)
		*keep = last;
	else
		PQclear(last);
	return rc;
}

int
db_not_sent(struct db *db, struct verr *e)
{
	db_error_lost(db, e);
	db_disconnect(db);
	return -1;
}

/*
 * What is asked once goes in one round trip, without a name; what is asked
 * again is prepared for the times to come.
 */
static int
prepare(struct db *db, const char *sql, char name[16], struct verr *e)
{
	bool is_new;
	int place = db_statement_place(db, sql, &is_new);

	if (is_new && place >= 0 && !db->statements[place].used) {
		db->statements[place].used = true;
		db->statements[place].prepared = false;
		place = -1;
	}
	db_statement_name(name, place);
	if (!is_new || place < 0)
		return 0;
	if (!PQsendPrepare(db->conn, name, sql, 0, NULL))
		return db_not_sent(db, e);
	if (db_collect(db, NULL, e) == 0)
		return 0;
	if (db->connected)
		db_statement_forget(db, place);
	return -1;
}

static struct db_result *
result_new(PGresult *pg)
{
	struct db_result *r = calloc(1, sizeof(*r));

	if (r)
		r->pg = pg;
	else
		PQclear(pg);
	return r;
}

static int
start(struct db *db, const char *sql, int nparams,
      const struct db_param *params, int format, struct verr *e)
{
	struct db_pq_params p;
	char name[16];
	int sent;

	if (db_ensure(db, e) == -1 || prepare(db, sql, name, e) == -1)
		return -1;
	db_pq_params(&p, nparams, params);
	if (*name)
		sent = PQsendQueryPrepared(db->conn, name, nparams, p.values,
					   p.lengths, p.formats, format);
	else
		sent = PQsendQueryParams(db->conn, sql, nparams, NULL, p.values,
					 p.lengths, p.formats, format);
	return sent ? 0 : db_not_sent(db, e);
}

int
db_start(struct db *db, const char *sql, int nparams,
	 const struct db_param *params, struct verr *e)
{
	return start(db, sql, nparams, params, 0, e);
}

int
db_finish(struct db *db, struct db_result **r, struct verr *e)
{
	PGresult *pg = NULL;

	if (r)
		*r = NULL;
	if (db_collect(db, &pg, e) == -1)
		return -1;
	if (!r) {
		PQclear(pg);
		return 0;
	}
	*r = result_new(pg);
	return *r ? 0 : verr_set(e, VERR_RETRY, "out of memory");
}

static int
query(struct db *db, struct db_result **r, const char *sql, int nparams,
      const struct db_param *params, int format, struct verr *e)
{
	if (r)
		*r = NULL;
	if (start(db, sql, nparams, params, format, e) == -1)
		return -1;
	return db_finish(db, r, e);
}

int
db_query(struct db *db, struct db_result **r, const char *sql, int nparams,
	 const struct db_param *params, struct verr *e)
{
	return query(db, r, sql, nparams, params, 0, e);
}

int
db_query_binary(struct db *db, struct db_result **r, const char *sql,
		int nparams, const struct db_param *params, struct verr *e)
{
	return query(db, r, sql, nparams, params, 1, e);
}

int
db_script(struct db *db, const char *sql, struct verr *e)
{
	if (db_ensure(db, e) == -1)
		return -1;
	if (!PQsendQuery(db->conn, sql))
		return db_not_sent(db, e);
	return db_collect(db, NULL, e);
}

int
db_begin(struct db *db, struct verr *e)
{
	db->in_transaction = false;
	if (db_script(db, "begin", e) == -1)
		return -1;
	db->in_transaction = true;
	return 0;
}

/*
 * A failed transaction's COMMIT is answered with ROLLBACK and no error, and
 * one whose answer is lost may have happened.
 */
int
db_commit(struct db *db, struct verr *e)
{
	PGresult *r = NULL;
	int rc;

	if (db_ensure(db, e) == -1) {
		db->in_transaction = false;
		return -1;
	}
	rc = PQsendQuery(db->conn, "commit") ? db_collect(db, &r, e)
					     : db_not_sent(db, e);
	db->in_transaction = false;
	if (rc == 0 && strcmp(PQcmdStatus(r), "COMMIT") != 0)
		rc = verr_set(e, VERR_BUG,
			      "the transaction had failed before its commit");
	PQclear(r);
	return rc;
}

void
db_rollback(struct db *db)
{
	struct verr ignored = VERR_INIT;

	if (!db || !db->in_transaction)
		return;
	db->in_transaction = false;
	if (!db->connected)
		return;
	if (PQtransactionStatus(db->conn) == PQTRANS_ACTIVE ||
	    db_script(db, "rollback", &ignored) == -1)
		db_disconnect(db);
}

/* --- notifications ---------------------------------------------------- */

int
db_wait_notify(struct db *db, int64_t timeout_ms, int wake_fd,
	       struct buf *channel, struct buf *payload, struct verr *e)
{
	int64_t deadline = loop_now_ms() + timeout_ms;

	if (!db->connected)
		return db_error_lost(db, e);
	for (;;) {
		PGnotify *n = PQnotifies(db->conn);
		int ready;

		if (n) {
			buf_puts(channel, n->relname);
			buf_puts(payload, n->extra);
			PQfreemem(n);
			return 1;
		}
		ready = db_wait_socket(db, POLLIN, deadline, wake_fd);
		if (ready == 0)
			return 0;
		if (ready == -1 || !PQconsumeInput(db->conn))
			return db_not_sent(db, e);
	}
}
