/* Waiting for the socket, and for a connection. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conf.h"
#include "db_private.h"

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
