/* One connection that keeps itself, and the calls that wait. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf.h"
#include "db_private.h"
#include "metrics.h"

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
	db_connect_release(db);
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

/* --- prepared statements ---------------------------------------------- */

int
db_statement_place(struct db *db, const char *sql, bool *is_new)
{
	size_t place = DB_STATEMENTS;

	for (size_t i = 0; i < db->nstatements; i++) {
		const char *known = db->statements[i].sql;

		if (known && strcmp(known, sql) == 0) {
			*is_new = !db->statements[i].prepared;
			db->statements[i].prepared = true;
			return (int)i;
		}
		if (!known)
			place = i; /* its Parse failed: the name is free */
	}
	*is_new = true;
	if (place == DB_STATEMENTS) {
		if (db->nstatements == DB_STATEMENTS)
			return -1;
		place = db->nstatements++;
	}
	/* A copy: the caller's text may be put together and freed. */
	db->statements[place] = (struct db_statement){
		.sql = strdup(sql),
		.prepared = true,
	};
	return db->statements[place].sql ? (int)place : -1;
}

void
db_statement_name(char name[16], int place)
{
	if (place < 0)
		name[0] = '\0';
	else
		snprintf(name, 16, "s%d", place);
}

void
db_statement_forget(struct db *db, int place)
{
	if (place < 0)
		return;
	free(db->statements[place].sql);
	db->statements[place].sql = NULL;
}

void
db_pq_params(struct db_pq_params *to, int n, const struct db_param *from)
{
	assert(n <= DB_MAX_PARAMS);
	for (int i = 0; i < n; i++) {
		to->values[i] = from[i].value;
		to->lengths[i] = from[i].binary ? (int)from[i].len : 0;
		to->formats[i] = from[i].binary;
	}
}

/* --- waiting ---------------------------------------------------------- */

int
db_wait_socket(struct db *db, short events, int64_t deadline_ms, int wake_fd)
{
	struct pollfd fds[2] = {
		{ .fd = PQsocket(db->conn), .events = events },
		{ .fd = wake_fd, .events = POLLIN },
	};

	for (;;) {
		int64_t left = deadline_ms - loop_now_ms();
		int n;

		if (left < 0)
			left = 0;
		n = poll(fds, 2, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return fds[0].revents ? 1 : 0;
		if (n == 0 && loop_now_ms() >= deadline_ms)
			return 0;
		if (n == -1 && errno != EINTR)
			return -1;
		/* A signal that the program has a wake_fd for shows there. */
	}
}

static int
connect_once(struct db *db, struct verr *e)
{
	enum db_connect_state state = DB_CONNECT_WRITE;

	if (db_connect_begin(db, e) == -1)
		return -1;
	if (!db->conn)
		state = db_connect_step(db, e);
	while (state != DB_CONNECT_DONE && state != DB_CONNECT_FAILED) {
		short events = state == DB_CONNECT_READ ? POLLIN : POLLOUT;

		if (db_wait_socket(db, events, db->host_deadline_ms, -1) != 1) {
			db_connect_expired(db);
			state = DB_CONNECT_WRITE;
			if (db->conn)
				continue;
		}
		state = db_connect_step(db, e);
	}
	if (state == DB_CONNECT_FAILED)
		return -1;
	for (char **sql = db->session_sql; *sql; sql++)
		if (PQsendQuery(db->conn, *sql) ? db_collect(db, NULL, e)
						: db_not_sent(db, e)) {
			/* Never used without its settings. */
			db_disconnect(db);
			return -1;
		}
	return 0;
}

static void
pause_ms(int64_t ms)
{
	poll(NULL, 0, (int)ms);
}

/* Connect, as hard as the retry policy says. */
static int
connect_wait(struct db *db, struct verr *e)
{
	int64_t until = loop_now_ms(), pause = 50;

	if (db->retry == DB_RETRY_INTERACTIVE)
		until += 2000;
	else if (db->retry == DB_RETRY_STARTUP)
		until += conf_ms("database_wait");
	for (;;) {
		struct verr now = VERR_INIT;

		if (connect_once(db, &now) == 0)
			return 0;
		if (now.kind != VERR_RETRY || loop_now_ms() + pause > until) {
			*e = now;
			return -1;
		}
		pause_ms(pause);
		pause = pause < 1000 ? pause * 2 : 1000;
	}
}

int
db_ensure(struct db *db, struct verr *e)
{
	assert(!db->loop);
	if (db->connected && PQstatus(db->conn) == CONNECTION_OK)
		return 0;
	if (db->in_transaction)
		return verr_set(e, VERR_RETRY,
				"lost the connection to the database in a "
				"transaction");
	return connect_wait(db, e);
}

static long
listener_of(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return 0;
	return peer.pid > 0 ? (long)peer.pid : 0;
}

int
db_connect(struct db *db, struct db_server *server, struct verr *e)
{
	const char *recovery, *read_only;

	if (db_ensure(db, e) == -1)
		return -1;
	if (!server)
		return 0;
	recovery = PQparameterStatus(db->conn, "in_hot_standby");
	read_only =
		PQparameterStatus(db->conn, "default_transaction_read_only");
	server->version = PQserverVersion(db->conn);
	server->in_recovery = recovery && strcmp(recovery, "on") == 0;
	server->read_only = server->in_recovery ||
			    (read_only && strcmp(read_only, "on") == 0);
	server->postmaster = listener_of(PQsocket(db->conn));
	snprintf(server->host, sizeof(server->host), "%s:%s", PQhost(db->conn),
		 PQport(db->conn));
	return 0;
}

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

/* --- results ---------------------------------------------------------- */

int
db_rows(const struct db_result *r)
{
	return r->is_part ? r->count : PQntuples(r->pg);
}

void
db_show(struct db_result *r, int first, int count)
{
	r->is_part = true;
	r->first = first;
	r->count = count;
}

int
db_columns(const struct db_result *r)
{
	return PQnfields(r->pg);
}

const char *
db_value(const struct db_result *r, int row, int column)
{
	if (PQgetisnull(r->pg, r->first + row, column))
		return NULL;
	return PQgetvalue(r->pg, r->first + row, column);
}

const char *
db_field(const struct db_result *r, int row, const char *column)
{
	int i = 0, n = PQnfields(r->pg);

	while (i < n && strcmp(PQfname(r->pg, i), column) != 0)
		i++;
	assert(i < n);
	return db_value(r, row, i);
}

size_t
db_length(const struct db_result *r, int row, int column)
{
	return (size_t)PQgetlength(r->pg, r->first + row, column);
}

bool
db_is_true(const struct db_result *r, int row, int column)
{
	const char *value = db_value(r, row, column);

	return value && value[0] == 't';
}

long
db_affected(const struct db_result *r)
{
	return strtol(PQcmdTuples(r->pg), NULL, 10);
}

int
db_bytea(const struct db_result *r, int row, int column, struct buf *out,
	 struct verr *e)
{
	const char *text = db_value(r, row, column);
	unsigned char *bytes;
	size_t len;

	if (!text)
		return 0;
	bytes = PQunescapeBytea((const unsigned char *)text, &len);
	if (bytes)
		buf_add(out, bytes, len);
	PQfreemem(bytes);
	if (!bytes || buf_failed(out))
		return verr_set(e, VERR_RETRY, "out of memory");
	return 0;
}

void
db_result_free(struct db_result *r)
{
	if (!r)
		return;
	PQclear(r->pg);
	free(r);
}
