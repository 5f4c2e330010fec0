/*
 * db: PostgreSQL, the only file that includes libpq.
 *
 * Layer I/O.  A `struct db` is one connection that keeps itself: it connects
 * when first used, walks the hosts of the connection string with a deadline
 * for each (libpq 15 ignores connect_timeout in PQconnectPoll), takes only the
 * server that suits target_session_attrs, and connects again after a failure.
 * The target is libpq's: setting `database`, PG* variables, service files,
 * password files.
 *
 * Statements take parameters only ($1...), never text put together; each SQL
 * text is a constant of the program and is prepared once per connection, by
 * db_query() when it comes for the second time.
 *
 * Two ways to use it, same rules:
 *   - db_query(): waits for the result, at most `database_timeout`.
 *   - db_send() with a loop: the callback gets the result.  Pipeline mode, a
 *     Sync after each request, so one failed request does not touch the next.
 *
 * A request that meets its deadline ends with VERR_RETRY, and the connection is
 * dropped rather than cancelled (PQcancel blocks): the server ends the
 * statement when it looks for its client (sql/grant.sql).  Whether it was
 * committed is then unknown, so callers must be idempotent.
 *
 * SQLSTATE decides the kind: class 08, 53, 57P, 40, 25006 (read-only: the
 * connection is dropped so that the next one finds the writer): RETRY;
 * 23505, 23503: CONFLICT; 22, 23: INPUT; 42501, 3D000, 28: CONFIG; P0002
 * NOTFOUND; other 42, XX: BUG.
 */
#ifndef DB_H
#define DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

struct db;
struct db_result;

/* How hard to try, by name. */
enum db_retry {
	DB_RETRY_NEVER,       /* one walk over the hosts, then the error */
	DB_RETRY_INTERACTIVE, /* for people: up to 2 s, then say why */
	DB_RETRY_STARTUP, /* services: up to `database_wait`, default 30 s */
};

struct db_options {
	/* NULL: setting `database`. */
	const char *conninfo;
	/* NULL: what conninfo says; else overrides it ("postgres", ...). */
	const char *dbname;
	/*
	 * The program's own role, for when neither connection string nor
	 * PGUSER nor a service names a user; NULL: libpq's default.
	 */
	const char *role;
	/*
	 * NULL: what conninfo says, or "any" without; "read-write", "any",
	 * "prefer-standby" ... override it.
	 */
	const char *session_attrs;
	enum db_retry retry;
	/* Per request, and for connecting when that is less than the setting
	 * `database_connect_timeout`; 0: setting `database_timeout`. */
	int64_t timeout_ms;
	/* Statements run after each connect, e.g. "set synchronous_commit ..."
	 */
	const char *const *session_sql; /* NULL-terminated list, may be NULL */
};

/* Does not connect yet.  `options` and its strings are copied. */
struct db *db_new(const struct db_options *options, struct verr *e);
void db_free(struct db *db);

/* --- parameters ------------------------------------------------------- */

struct db_param {
	const char *value; /* NULL is null */
	size_t len;        /* used when binary */
	bool binary;       /* bytea, or the binary form of an array */
};

#define DB_TEXT(s) ((struct db_param){ .value = (s) })
#define DB_BYTES(p, n) \
	((struct db_param){ .value = (p), .len = (n), .binary = true })

/*
 * Binary arrays for unnest($1::bytea[], $2::text[]): begin, one add per
 * element, then end; DB_BYTES(b.data, b.len) is the parameter.
 */
enum db_array_type { DB_ARRAY_BYTEA, DB_ARRAY_TEXT, DB_ARRAY_INT8 };
void db_array_begin(struct buf *b, enum db_array_type type);
void db_array_add(struct buf *b, const void *data, size_t len);
void db_array_add_int8(struct buf *b, int64_t value);
void db_array_add_null(struct buf *b);
void db_array_end(struct buf *b);

/* --- results ---------------------------------------------------------- */

int db_rows(const struct db_result *r);
/* From now on `r` has only these of all its rows, the first of them row 0. */
void db_show(struct db_result *r, int first, int count);
int db_columns(const struct db_result *r);
/* Borrowed until db_result_free(); NULL for null.  Text form. */
const char *db_value(const struct db_result *r, int row, int column);
/* Column by name; asserts that the statement returns it. */
const char *db_field(const struct db_result *r, int row, const char *column);
size_t db_length(const struct db_result *r, int row, int column);
bool db_is_true(const struct db_result *r, int row, int column);
long db_affected(const struct db_result *r); /* rows changed */
/* Decode a bytea in text form; the caller releases `out`. */
int db_bytea(const struct db_result *r, int row, int column, struct buf *out,
	     struct verr *e);
void db_result_free(struct db_result *r);

/* The SQLSTATE of the last error of this db, or "". */
const char *db_sqlstate(const struct db *db);

/* --- waiting ---------------------------------------------------------- */

/* `*r` may be NULL when the caller wants no rows; else free it. */
int db_query(struct db *db, struct db_result **r, const char *sql, int nparams,
	     const struct db_param *params, struct verr *e);
/*
 * The same with the values in binary form: a bytea is its bytes, and text is
 * text; of other types the statement makes text (id::text).
 */
int db_query_binary(struct db *db, struct db_result **r, const char *sql,
		    int nparams, const struct db_param *params, struct verr *e);

/*
 * db_query() in two parts: what is between them is done while the server
 * works.  Nothing else may be asked of `db` before db_finish().
 */
int db_start(struct db *db, const char *sql, int nparams,
	     const struct db_param *params, struct verr *e);
int db_finish(struct db *db, struct db_result **r, struct verr *e);

/*
 * Several statements without parameters in one go (migrations, session set-up);
 * not for data.
 */
int db_script(struct db *db, const char *sql, struct verr *e);

int db_begin(struct db *db, struct verr *e);
int db_commit(struct db *db, struct verr *e);
void db_rollback(struct db *db); /* quiet, NULL-safe; drops what is broken */

/* COPY table(columns) FROM STDIN in text format; then db_copy_end(). */
int db_copy_begin(struct db *db, const char *copy_sql, struct verr *e);
int db_copy_data(struct db *db, const char *data, size_t len, struct verr *e);
int db_copy_end(struct db *db, struct verr *e);
/* Append a field of COPY's text format, escaped; NULL is \N. */
void db_copy_field(struct buf *row, const char *s, size_t len);

/*
 * COPY ... TO STDOUT in text format: `fn` gets each row as it comes, its
 * values borrowed for the call, NULL for null; -1 with `e` set ends it, and
 * the connection with it.  Memory does not grow with the rows.
 */
#define DB_COPY_COLUMNS 128
typedef int (*db_row_fn)(const char *const *values, int n, void *arg,
			 struct verr *e);
int db_copy_out(struct db *db, const char *copy_sql, db_row_fn fn, void *arg,
		struct verr *e);

/*
 * Wait for a notification at most `timeout_ms` (LISTEN by db_query() before).
 * Returns 1 with channel and payload appended, 0 at the timeout, -1 on error.
 * `wake_fd` (or -1) ends the wait too: 0.
 */
int db_wait_notify(struct db *db, int64_t timeout_ms, int wake_fd,
		   struct buf *channel, struct buf *payload, struct verr *e);

/* Connect now and say what is there, e.g. for probes. */
struct db_server {
	int version; /* 150018 */
	bool in_recovery;
	bool read_only; /* default_transaction_read_only or in recovery */
	char host[256]; /* which host of the list, and port */
	/* Of the process that listens, by a unix socket (SO_PEERCRED); else 0.
	 */
	long postmaster;
};
int db_connect(struct db *db, struct db_server *server, struct verr *e);

/*
 * The name of the database that the connection string leads to, without
 * connecting.  The caller frees it with free(); NULL with `e` set.
 */
char *db_name(const struct db *db, struct verr *e);

/* --- with a loop ------------------------------------------------------ */

/* From now on db_send() may be used, db_query() not. */
void db_attach(struct db *db, struct loop *loop);

/*
 * `r` is borrowed for the callback, NULL when `e` is set (kind != NONE).
 * Called exactly once for each db_send(), never from within db_send().
 */
typedef void (*db_done_fn)(struct db_result *r, const struct verr *e,
			   void *arg);

/*
 * `sql` is a constant; parameters are copied.  While there is no connection
 * the request waits, at most its deadline; when the last connection attempt
 * failed within `database_backoff` it fails at once (a breaker: callers serve
 * stale or spool without waiting).
 */
void db_send(struct db *db, const char *sql, int nparams,
	     const struct db_param *params, int64_t timeout_ms, db_done_fn fn,
	     void *arg);

bool db_is_up(const struct db *db); /* connected and not failing */
size_t db_pending(const struct db *db);

/* Called when a connection was made (true) or lost (false). */
typedef void (*db_state_fn)(bool up, void *arg);
void db_on_state(struct db *db, db_state_fn fn, void *arg);

/* LISTEN on each new connection; fn gets what arrives. */
typedef void (*db_notify_fn)(const char *channel, const char *payload,
			     void *arg);
void db_listen(struct db *db, const char *channel, db_notify_fn fn, void *arg);

/*
 * Close and connect anew with the current settings (SIGHUP), when what was
 * sent has its answer; what comes meanwhile waits.  A connection string that is
 * no good is logged, and the connection stays.
 */
void db_reload(struct db *db);

#endif
