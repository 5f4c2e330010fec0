/*
 * The face with a loop: pipeline mode, a Sync after each request.  libpq's
 * results belong to the head of the list of requests (db_request.c).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "conf.h"
#include "db_private.h"
#include "log.h"
#include "metrics.h"

#define BACKOFF_MAX_MS 10000

static void start_connecting(struct db *db);
static void watch(struct db *db, unsigned events);
static void on_socket(int fd, unsigned events, void *arg);

/* --- losing the connection -------------------------------------------- */

static void
unwatch(struct db *db)
{
	if (db->fd != -1)
		loop_remove_fd(db->loop, db->fd);
	db->fd = -1;
}

static void
drop(struct db *db)
{
	bool was_up = db->connected;

	was_up = was_up && db->settling == 0;
	unwatch(db);
	loop_timer_clear(db->loop, &db->timer);
	db_disconnect(db);
	db->settling = 0;
	db->broken = false;
	db->renewing = false;
	if (was_up && db->state_fn)
		db->state_fn(false, db->state_arg);
}

/*
 * What was sent may have been committed or not; what was not sent waits for the
 * next connection, which is tried at once.
 */
static void
lose(struct db *db, const struct verr *e)
{
	struct verr why = *e;

	drop(db);
	if (!db->closing)
		start_connecting(db);
	db_request_fail_all(db, true, &why);
}

static void
lose_broken(struct db *db)
{
	struct verr e = VERR_INIT;

	db_error_lost(db, &e);
	lose(db, &e);
}

/* --- sending ---------------------------------------------------------- */

static bool
flush(struct db *db)
{
	int rc = PQflush(db->conn);
	unsigned events = EPOLLIN | (rc ? EPOLLOUT : 0);

	if (rc == -1)
		return false;
	if (events != db->events)
		loop_modify_fd(db->loop, db->fd, events);
	db->events = events;
	return true;
}

static bool
send_request(struct db *db, struct db_request *r)
{
	struct db_pq_params p;
	char name[16];
	bool is_new;

	db_pq_params(&p, r->nparams, r->params);
	r->place = db_statement_place(db, r->sql, &is_new);
	db_statement_name(name, r->place);
	r->preparing = is_new;
	r->sent = true;
	db->broken =
		(is_new && !PQsendPrepare(db->conn, name, r->sql, 0, NULL)) ||
		!PQsendQueryPrepared(db->conn, name, r->nparams, p.values,
				     p.lengths, p.formats, 0) ||
		!PQpipelineSync(db->conn);
	return !db->broken;
}

static void
on_deadline(void *arg)
{
	struct db_request *r = arg;
	struct db *db = r->db;
	struct verr e = VERR_INIT;

	db->sqlstate[0] = '\0';
	if (!r->sent) {
		db_request_take(db, r);
		metric_add(METRIC_DB_FAILURES, 1);
		verr_set(&r->error, VERR_RETRY,
			 "the database could not be asked in time%s%s",
			 db->failures.len ? ": " : "", db->failures.data);
		db_request_finish(r);
		return;
	}
	db_error_deadline(r->timeout_ms, &e);
	lose(db, &e);
}

/*
 * From a walk that found no server until one that does: nobody waits for the
 * attempts in between, which a silent host makes long.
 */
static bool
breaker_is_open(const struct db *db)
{
	return db->closing || (!db->connected && db->backoff_ms);
}

void
db_send(struct db *db, const char *sql, int nparams,
	const struct db_param *params, int64_t timeout_ms, db_done_fn fn,
	void *arg)
{
	struct db_request *r = db_request_new(nparams, params);
	struct verr e = VERR_INIT;

	assert(db->loop);
	if (!r) {
		/* Not even that: the one case that is told at once. */
		verr_set(&e, VERR_RETRY, "out of memory");
		fn(NULL, &e, arg);
		return;
	}
	r->db = db;
	r->sql = sql;
	r->fn = fn;
	r->arg = arg;
	r->timer.arg = r;
	if (breaker_is_open(db)) {
		verr_set(&e, VERR_RETRY, "the database is away: %s",
			 db->closing ? "the program ends" : db->away.msg);
		db_request_fail_later(r, &e);
		return;
	}
	r->timer.fn = on_deadline;
	r->timeout_ms = timeout_ms ? timeout_ms : db_timeout_ms(db);
	loop_timer_set(db->loop, &r->timer, r->timeout_ms);
	db_request_append(db, r);
	if (db->settling || db->renewing)
		return;
	if (!db->connected) {
		if (!db->conn)
			start_connecting(db);
		return;
	}
	if (!send_request(db, r) || !flush(db))
		/* Noticed by the loop, as when the server had closed it. */
		watch(db, EPOLLIN | EPOLLOUT);
}

/* --- answers ---------------------------------------------------------- */

static void
keep_result(struct db *db, struct db_request *head, PGresult *r)
{
	struct verr ignored = VERR_INIT;

	switch (PQresultStatus(r)) {
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
	case PGRES_EMPTY_QUERY:
		if (head->preparing) {
			head->preparing = false;
			break;
		}
		PQclear(head->result);
		head->result = r;
		return;
	case PGRES_PIPELINE_ABORTED:
		break;
	default:
		db_error_result(db, r,
				head->error.kind == VERR_NONE ? &head->error
							      : &ignored);
		if (head->preparing)
			db_statement_forget(db, head->place);
		break;
	}
	PQclear(r);
}

static void on_failed(struct db *db, const struct verr *e);
static void on_settled(struct db *db);

/*
 * The answer to a session setting or LISTEN.  Without them the connection is
 * not what the program asked for, so it is not used.
 */
static bool
finish_internal(struct db *db)
{
	struct db_request *head = db->first;
	struct verr why = head->error;

	db_request_take(db, head);
	db_request_finish(head);
	if (why.kind != VERR_NONE) {
		drop(db);
		db_request_fail_all(db, true, &why);
		if (!db->conn)
			on_failed(db, &why);
	} else if (--db->settling == 0) {
		on_settled(db);
	}
	return db->connected;
}

/* db_reload() waited for the last answer, and here it was. */
static bool
renewal_is_due(const struct db *db)
{
	return db->renewing && !(db->first && db->first->sent);
}

/* False when the connection was given up. */
static bool
finish_head(struct db *db)
{
	struct db_request *head = db->first;
	bool fatal = head->error.kind == VERR_RETRY &&
		     db_error_is_fatal(db->sqlstate);
	struct verr why = head->error;

	db_request_take(db, head);
	db_request_finish(head);
	if (db->connected && (fatal || renewal_is_due(db)))
		lose(db, &why);
	return db->connected;
}

static bool
read_results(struct db *db)
{
	PGconn *conn = db->conn;

	/* A callback may reload: then this connection is no more. */
	while (db->conn == conn && db->first && db->first->sent &&
	       !PQisBusy(conn)) {
		PGresult *r = PQgetResult(conn);

		if (!r) {
			/* Between the results of two commands. */
			if (PQstatus(conn) == CONNECTION_BAD)
				break;
			continue;
		}
		if (PQresultStatus(r) != PGRES_PIPELINE_SYNC) {
			keep_result(db, db->first, r);
			if (PQstatus(conn) == CONNECTION_BAD)
				break;
			continue;
		}
		PQclear(r);
		if (!(db->settling ? finish_internal(db) : finish_head(db)))
			return false;
	}
	return db->conn == conn;
}

static void
read_notifications(struct db *db)
{
	PGnotify *n;

	while (db->connected && (n = PQnotifies(db->conn))) {
		if (db->notify_fn)
			db->notify_fn(n->relname, n->extra, db->notify_arg);
		PQfreemem(n);
	}
}

static void
on_ready(struct db *db)
{
	bool alive;

	if (db->broken) {
		lose_broken(db);
		return;
	}
	alive = PQconsumeInput(db->conn);
	if (!read_results(db))
		return;
	read_notifications(db);
	if (!db->connected)
		return;
	if (!alive || PQstatus(db->conn) == CONNECTION_BAD || !flush(db))
		lose_broken(db);
}

/* --- connecting ------------------------------------------------------- */

static void
send_waiting(struct db *db)
{
	for (struct db_request *r = db->first; r; r = r->next) {
		if (db->settling && r->fn)
			break; /* in front are the internal ones */
		if (!r->sent && !send_request(db, r))
			break;
	}
	if (db->broken || !flush(db))
		lose_broken(db);
}

/* Session settings and LISTEN go in front of what waits. */
static bool
push_internal(struct db *db, const char *sql)
{
	struct db_request *r = db_request_new(0, NULL);

	if (!r)
		return false;
	r->db = db;
	r->sql = sql;
	r->timer.fn = on_deadline;
	r->timer.arg = r;
	r->timeout_ms = db_timeout_ms(db);
	loop_timer_set(db->loop, &r->timer, r->timeout_ms);
	r->next = db->first;
	if (!db->first)
		db->last = &r->next;
	db->first = r;
	db->pending++;
	db->settling++;
	return true;
}

/* From here on the connection serves. */
static void
on_settled(struct db *db)
{
	db->backoff_ms = 0;
	send_waiting(db);
	if (db->connected && db->state_fn)
		db->state_fn(true, db->state_arg);
}

static void
on_connected(struct db *db)
{
	bool pushed = true;
	size_t n = 0;

	loop_timer_clear(db->loop, &db->timer);
	if (!PQenterPipelineMode(db->conn)) {
		lose_broken(db);
		return;
	}
	if (db->channel)
		pushed = push_internal(db, db->channel);
	while (db->session_sql[n])
		n++;
	while (n && pushed)
		pushed = push_internal(db, db->session_sql[--n]);
	if (!pushed)
		lose_broken(db);
	else if (db->settling)
		send_waiting(db);
	else
		on_settled(db);
}

static void
on_retry(void *arg)
{
	start_connecting(arg);
}

/* Every host was tried: who waits is told, and the next walk comes later. */
static void
on_failed(struct db *db, const struct verr *e)
{
	int64_t step = conf_ms("database_backoff"), pause;
	unsigned chance = 0;

	unwatch(db);
	db->away = *e;
	db->backoff_ms = db->backoff_ms ? db->backoff_ms * 2 : step;
	if (db->backoff_ms > BACKOFF_MAX_MS)
		db->backoff_ms = step > BACKOFF_MAX_MS ? step : BACKOFF_MAX_MS;
	if (!db->backoff_ms)
		db->backoff_ms = 1;
	/* Not all programs of a node in the same moment. */
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) == -1)
		chance = (unsigned)getpid();
	pause = db->backoff_ms / 2 + chance % (db->backoff_ms / 2 + 1);
	db->timer.fn = on_retry;
	db->timer.arg = db;
	loop_timer_set(db->loop, &db->timer, pause);
	db_request_fail_all(db, false, e);
}

static void on_host_deadline(void *arg);

/* The socket changes with the host, and within one (TLS refused). */
static void
watch(struct db *db, unsigned events)
{
	struct verr e = VERR_INIT;
	int fd = PQsocket(db->conn);

	unwatch(db);
	if (fd == -1 ||
	    loop_add_fd(db->loop, fd, events, on_socket, db, &e) == -1)
		return; /* the host's deadline goes on to the next */
	db->fd = fd;
	db->events = events;
}

static void
follow_state(struct db *db, enum db_connect_state state, const struct verr *e)
{
	switch (state) {
	case DB_CONNECT_DONE:
		watch(db, EPOLLIN);
		on_connected(db);
		break;
	case DB_CONNECT_FAILED:
		on_failed(db, e);
		break;
	default:
		watch(db, state == DB_CONNECT_READ ? EPOLLIN : EPOLLOUT);
		db->timer.fn = on_host_deadline;
		db->timer.arg = db;
		loop_timer_set(db->loop, &db->timer,
			       db->host_deadline_ms - loop_now_ms());
		break;
	}
}

static void
step(struct db *db)
{
	struct verr e = VERR_INIT;

	/* The descriptor may be closed within: leave epoll first. */
	unwatch(db);
	follow_state(db, db_connect_step(db, &e), &e);
}

static void
on_host_deadline(void *arg)
{
	struct db *db = arg;
	struct verr e = VERR_INIT;

	unwatch(db);
	db_connect_expired(db);
	if (db->conn)
		follow_state(db, DB_CONNECT_WRITE, &e);
	else
		step(db);
}

static void
on_no_host(void *arg)
{
	step(arg);
}

static void
start_connecting(struct db *db)
{
	struct verr e = VERR_INIT;

	unwatch(db);
	loop_timer_clear(db->loop, &db->timer);
	if (db_connect_begin(db, &e) == -1) {
		on_failed(db, &e);
	} else if (db->conn) {
		follow_state(db, DB_CONNECT_WRITE, &e);
	} else {
		/* In the next turn: db_send() may be our caller. */
		db->timer.fn = on_no_host;
		db->timer.arg = db;
		loop_timer_set(db->loop, &db->timer, 0);
	}
}

static void
on_socket(int fd, unsigned events, void *arg)
{
	struct db *db = arg;

	(void)fd;
	(void)events;
	if (db->connected)
		on_ready(db);
	else if (db->conn)
		step(db);
}

/* --- for the program -------------------------------------------------- */

void
db_attach(struct db *db, struct loop *loop)
{
	assert(!db->loop);
	db_disconnect(db);
	db->loop = loop;
}

bool
db_is_up(const struct db *db)
{
	return db->connected && !db->settling;
}

size_t
db_pending(const struct db *db)
{
	return db->pending;
}

void
db_on_state(struct db *db, db_state_fn fn, void *arg)
{
	db->state_fn = fn;
	db->state_arg = arg;
}

void
db_listen(struct db *db, const char *channel, db_notify_fn fn, void *arg)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "listen %s", channel);
	free(db->channel);
	db->channel = buf_detach(&b);
	db->notify_fn = fn;
	db->notify_arg = arg;
	if (!db->conn)
		start_connecting(db);
	else if (db->connected)
		db_reload(db);
}

void
db_reload(struct db *db)
{
	struct verr e = VERR_INIT;

	if (db_hosts_check(db, &e) == -1) {
		log_error("%s: the connection stays", e.msg);
		return;
	}
	db->backoff_ms = 0;
	if (db_is_up(db) && db->first && db->first->sent) {
		db->renewing = true;
		return;
	}
	verr_set(&e, VERR_RETRY, "the database connection is made anew");
	lose(db, &e);
}

void
db_async_release(struct db *db)
{
	struct verr e = VERR_INIT;

	if (!db->loop)
		return;
	db->closing = true;
	drop(db);
	verr_set(&e, VERR_RETRY, "the program ends");
	db_request_fail_all(db, true, &e);
	db_request_fail_all(db, false, &e);
	while (db->failed) {
		struct db_request *r = db->failed;

		db->failed = r->next;
		db_request_finish(r);
	}
}
