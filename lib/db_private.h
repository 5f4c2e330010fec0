/*
 * db_private: what the files of db share.  Nothing else includes it, and
 * nothing but it includes libpq.
 *
 * Layer I/O.
 */
#ifndef DB_PRIVATE_H
#define DB_PRIVATE_H

#include <libpq-fe.h>

#include "db.h"

/* One server address to try: numeric, or a socket directory. */
struct db_host {
	char *host;     /* as written, for messages and certificates */
	char *hostaddr; /* NULL for a socket directory */
	char *port;
};

#define DB_STATEMENTS 64

/* Statements that this connection has prepared; the place is the name. */
struct db_statement {
	char *sql;
	bool prepared;
	bool used; /* by db_query(), which prepares the second time */
};

enum db_connect_state {
	DB_CONNECT_READ,  /* wait until the socket can be read */
	DB_CONNECT_WRITE, /* ... written */
	DB_CONNECT_DONE,
	DB_CONNECT_FAILED, /* every host was tried */
};

struct db_request {
	struct db_request *next;
	struct db *db;
	const char *sql;
	int nparams;
	struct db_param *params; /* in the same allocation, values too */
	int64_t timeout_ms;
	struct loop_timer timer; /* deadline; or the end of a failed request */
	bool sent;
	bool preparing; /* the answer to its Parse has not come yet */
	int place;      /* of its statement, -1: not prepared */
	PGresult *result;
	struct verr error;
	db_done_fn fn; /* NULL: internal (session_sql, LISTEN) */
	void *arg;
};

struct db {
	/* what was asked for */
	char *conninfo;
	char *dbname;
	char *role;
	char *session_attrs;
	enum db_retry retry;
	int64_t timeout_ms; /* 0: the setting */
	char **session_sql;

	/* connecting */
	PQconninfoOption *options;
	struct db_host *hosts;
	size_t nhosts;
	size_t host;         /* the one being tried, or in use */
	bool second_walk;    /* prefer-standby has found none */
	bool read_only_seen; /* where a primary was wanted */
	int64_t host_deadline_ms;
	struct buf failures; /* what each host said */
	enum verr_kind failure_kind;

	/* connected */
	PGconn *conn;
	bool connected;
	bool in_transaction;
	struct db_statement statements[DB_STATEMENTS];
	size_t nstatements;
	char sqlstate[6];

	/* with a loop */
	struct loop *loop;
	struct db_request *first, **last; /* sent ones are in front */
	struct db_request *failed;        /* to be told in the next turn */
	size_t pending;
	size_t settling; /* internal requests without an answer yet */
	bool broken;     /* libpq took a request in part only */
	bool renewing;   /* send no more: db_reload() waits for the answers */
	bool closing;    /* db_free() */
	int fd;
	unsigned events;         /* that the loop watches fd for */
	int64_t backoff_ms;      /* 0 while no walk has failed */
	struct verr away;        /* why the last walk found none */
	struct loop_timer timer; /* host deadline, or the next attempt */
	db_state_fn state_fn;
	void *state_arg;
	char *channel;
	db_notify_fn notify_fn;
	void *notify_arg;
};

struct db_result {
	PGresult *pg;
	bool is_part; /* of its rows, `count` from `first` on are shown */
	int first, count;
};

/* --- db_error.c ------------------------------------------------------- */

enum verr_kind db_error_kind(const char *sqlstate);
/* Is the connection of no more use after it, e.g. read-only after a demotion?
 */
bool db_error_is_fatal(const char *sqlstate);
/* From a failed result; also sets db->sqlstate. */
int db_error_result(struct db *db, const PGresult *r, struct verr *e);
/* From a connection that broke. */
int db_error_lost(struct db *db, struct verr *e);
int db_error_deadline(int64_t timeout_ms, struct verr *e);
/* One line of libpq's text, without a trailing newline. */
void db_error_text(struct buf *out, const char *text);

/* --- db_hosts.c ------------------------------------------------------- */

/* Is the connection string good?  -1 when not. */
int db_hosts_check(const struct db *db, struct verr *e);
/* Into db->options and db->hosts; names are looked up. */
int db_hosts_read(struct db *db, struct verr *e);
void db_hosts_release(struct db *db);
/* Borrowed; NULL when it is not set. */
const char *db_option(const struct db *db, const char *keyword);

/* --- db_connect.c ----------------------------------------------------- */

/* Begin a walk over the hosts; -1 when the connection string is no good. */
int db_connect_begin(struct db *db, struct verr *e);
/* One step; when it says FAILED `e` names every host and why. */
enum db_connect_state db_connect_step(struct db *db, struct verr *e);
/* The host being tried has used up its time. */
void db_connect_expired(struct db *db);
void db_disconnect(struct db *db);

/* --- db_async.c ------------------------------------------------------- */

void db_async_release(struct db *db);

/* --- db_request.c ----------------------------------------------------- */

/* With copies of the values; NULL: no memory. */
struct db_request *db_request_new(int n, const struct db_param *params);
void db_request_append(struct db *db, struct db_request *r);
/* Out of the list, if it is there. */
void db_request_take(struct db *db, struct db_request *r);
/* The end of a request that does not wait for an answer any more. */
void db_request_finish(struct db_request *r);
/* Fails in the next turn: never from within db_send(). */
void db_request_fail_later(struct db_request *r, const struct verr *e);
/* Take all requests that are `sent` or not out of the list and end them. */
void db_request_fail_all(struct db *db, bool sent, const struct verr *e);

/* --- db_wait.c -------------------------------------------------------- */

/*
 * Wait for the connection's socket, at most until `deadline_ms`.  1: ready, 0:
 * the time is over, -1: poll(2) failed.  `wake_fd` (or -1) counts as time over.
 */
int
db_wait_socket(struct db *db, short events, int64_t deadline_ms, int wake_fd);
/* Connect, unless there is a connection; not within a transaction. */
int db_ensure(struct db *db, struct verr *e);

/* --- db_statement.c --------------------------------------------------- */

/* The place of `sql` among the statements, and whether it is new. */
int db_statement_place(struct db *db, const char *sql, bool *is_new);
void db_statement_name(char name[16], int place);
void db_statement_forget(struct db *db, int place);

/* What libpq wants of db_param: arrays of the same order. */
#define DB_MAX_PARAMS 64
struct db_pq_params {
	const char *values[DB_MAX_PARAMS];
	int lengths[DB_MAX_PARAMS];
	int formats[DB_MAX_PARAMS];
};
void db_pq_params(struct db_pq_params *to, int n, const struct db_param *from);

/* --- db.c ------------------------------------------------------------- */

/* Hand libpq's output to the kernel. */
int db_flush(struct db *db, int64_t deadline_ms, struct verr *e);
/*
 * All results of what was sent: the first error counts, else the last result
 * is kept in `*keep`.  A broken connection is closed.
 */
int db_collect(struct db *db, PGresult **keep, struct verr *e);
/* The error of a connection that took no request; closes it. */
int db_not_sent(struct db *db, struct verr *e);
int64_t db_timeout_ms(const struct db *db);

#endif
