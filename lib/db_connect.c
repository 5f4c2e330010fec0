/*
 * The walk over the hosts.  libpq would do it, but its libpq 15 form waits for
 * ever on a silent host (PQconnectPoll knows no connect_timeout), so each host
 * gets a connection attempt of its own, with our deadline.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db_private.h"
#include "metrics.h"

void
db_disconnect(struct db *db)
{
	if (db->connected)
		metric_set(METRIC_DB_UP, 0);
	PQfinish(db->conn);
	db->conn = NULL;
	db->connected = false;
	while (db->nstatements)
		db_statement_forget(db, (int)--db->nstatements);
}

static const char *
wanted_attrs(const struct db *db)
{
	const char *attrs = db_option(db, "target_session_attrs");

	if (db->session_attrs)
		return db->session_attrs;
	return attrs ? attrs : "any";
}

static void
note_failure(struct db *db, const char *text)
{
	const struct db_host *h = &db->hosts[db->host];
	struct buf *b = &db->failures;

	if (b->len)
		buf_puts(b, "; ");
	/* libpq's own words name the host already. */
	if (strncmp(text, "connection to server", 20) == 0)
		;
	else if (*h->host)
		buf_printf(b, "'%s' port %s: ", h->host, h->port);
	else if (h->hostaddr)
		buf_printf(b, "'%s' port %s: ", h->hostaddr, h->port);
	db_error_text(b, text);
}

#define KEYWORDS_MAX 64

struct keywords {
	const char *names[KEYWORDS_MAX + 1], *values[KEYWORDS_MAX + 1];
	size_t n;
	char timeout[24];
};

/* The last one of a name counts. */
static void
set_keyword(struct keywords *k, const char *name, const char *value)
{
	if (!value || k->n == KEYWORDS_MAX)
		return;
	k->names[k->n] = name;
	k->values[k->n++] = value;
}

static void
set_keywords(struct keywords *k, const struct db *db)
{
	const struct db_host *h = &db->hosts[db->host];
	/* A dead peer is noticed soon, where the user has set nothing. */
	const struct {
		const char *name;
		const char *value;
	} unless_set[] = {
		{ "tcp_user_timeout", k->timeout },
		{ "keepalives_idle", "15" },
		{ "keepalives_interval", "5" },
		{ "keepalives_count", "3" },
	};
	/* What is sent arrives soon, however long the answer takes. */
	int64_t own_ms = conf_ms("database_timeout");

	for (PQconninfoOption *o = db->options; o->keyword; o++)
		if (o->val && *o->val && strcmp(o->keyword, "service") != 0)
			set_keyword(k, o->keyword, o->val);
	set_keyword(k, "host", h->host);
	set_keyword(k, "hostaddr", h->hostaddr ? h->hostaddr : "");
	set_keyword(k, "port", h->port);
	set_keyword(k, "target_session_attrs", "any");
	set_keyword(k, "dbname", db->dbname);
	set_keyword(k, "fallback_application_name",
		    program_invocation_short_name);
	if (db_timeout_ms(db) < own_ms)
		own_ms = db_timeout_ms(db);
	snprintf(k->timeout, sizeof(k->timeout), "%lld", (long long)own_ms);
	for (size_t i = 0; i < sizeof(unless_set) / sizeof(unless_set[0]); i++)
		if (!db_option(db, unless_set[i].name))
			set_keyword(k, unless_set[i].name, unless_set[i].value);
}

/* A connection attempt to the host of the walk; false: go on to the next. */
static bool
start_host(struct db *db)
{
	int64_t own_ms = conf_ms("database_connect_timeout");
	struct keywords k = { .n = 0 };

	set_keywords(&k, db);
	if (db->timeout_ms && db->timeout_ms < own_ms)
		own_ms = db->timeout_ms;
	db->host_deadline_ms = loop_now_ms() + own_ms;
	db->conn = PQconnectStartParams(k.names, k.values, 0);
	if (!db->conn) {
		note_failure(db, "out of memory");
		return false;
	}
	/* The SQLSTATE of a refusal is to be had only in the verbose text. */
	PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);
	if (PQstatus(db->conn) == CONNECTION_BAD) {
		note_failure(db, PQerrorMessage(db->conn));
		return false;
	}
	return true;
}

/* Go to the next host; false when there is none. */
static bool
next_host(struct db *db)
{
	db_disconnect(db);
	for (;;) {
		db->host++;
		if (db->host >= db->nhosts) {
			if (strcmp(wanted_attrs(db), "prefer-standby") != 0 ||
			    db->second_walk)
				return false;
			db->second_walk = true;
			db->host = 0;
		}
		if (start_host(db))
			return true;
		db_disconnect(db);
	}
}

int
db_connect_begin(struct db *db, struct verr *e)
{
	db_disconnect(db);
	db->second_walk = false;
	db->read_only_seen = false;
	db->failure_kind = VERR_RETRY;
	if (db_hosts_read(db, e) == -1)
		return -1;
	db->host = 0;
	if (db->nhosts && !start_host(db) && !next_host(db))
		db_disconnect(db);
	return 0;
}

/* Does the server suit target_session_attrs?  Else why not. */
static const char *
unsuitable(const struct db *db)
{
	const char *recovery = PQparameterStatus(db->conn, "in_hot_standby");
	const char *read_only =
		PQparameterStatus(db->conn, "default_transaction_read_only");
	bool is_standby = recovery && strcmp(recovery, "on") == 0;
	bool is_read_only =
		is_standby || (read_only && strcmp(read_only, "on") == 0);
	const char *attrs = wanted_attrs(db);

	if (strcmp(attrs, "read-write") == 0 && is_read_only)
		return "it is read-only";
	if (strcmp(attrs, "read-only") == 0 && !is_read_only)
		return "it is not read-only";
	if (strcmp(attrs, "primary") == 0 && is_standby)
		return "it is a standby";
	if (strcmp(attrs, "standby") == 0 && !is_standby)
		return "it is no standby";
	if (strcmp(attrs, "prefer-standby") == 0 && !is_standby &&
	    !db->second_walk)
		return "it is no standby";
	return NULL;
}

/*
 * "FATAL:  28P01: password ..." and its lines LOCATION: ... : the SQLSTATE for
 * the kind, the text without both for people.
 */
static void
note_refusal(struct db *db)
{
	char *text = strdup(PQerrorMessage(db->conn));
	char *p = text ? strstr(text, ":  ") : NULL, *location;

	if (!p || strlen(p) < 10 || p[8] != ':' ||
	    strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5) {
		note_failure(db, PQerrorMessage(db->conn));
		free(text);
		return;
	}
	snprintf(db->sqlstate, sizeof(db->sqlstate), "%.5s", p + 3);
	if (db_error_kind(db->sqlstate) == VERR_CONFIG)
		db->failure_kind = VERR_CONFIG;
	memmove(p + 2, p + 9, strlen(p + 9) + 1);
	location = strchr(p, '\n');
	if (location)
		*location = '\0';
	note_failure(db, text);
	free(text);
}

static enum db_connect_state
all_failed(struct db *db, struct verr *e)
{
	metric_add(METRIC_DB_FAILURES, 1);
	verr_set(e, db->failure_kind, "cannot connect to the database: %s",
		 db->failures.len ? db->failures.data : "no host to try");
	if (db->read_only_seen)
		verr_add(e, "\nhint: a change needs the primary; name every "
			    "host in the setting 'database'");
	db_disconnect(db);
	return DB_CONNECT_FAILED;
}

static enum db_connect_state
connected(struct db *db)
{
	PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
	PQsetnonblocking(db->conn, 1);
	db->connected = true;
	db->sqlstate[0] = '\0';
	buf_clear(&db->failures);
	metric_add(METRIC_DB_CONNECTS, 1);
	metric_set(METRIC_DB_UP, 1);
	return DB_CONNECT_DONE;
}

enum db_connect_state
db_connect_step(struct db *db, struct verr *e)
{
	const char *why;

	while (db->conn) {
		switch (PQconnectPoll(db->conn)) {
		case PGRES_POLLING_READING:
			return DB_CONNECT_READ;
		case PGRES_POLLING_WRITING:
			return DB_CONNECT_WRITE;
		case PGRES_POLLING_OK:
			why = unsuitable(db);
			if (!why)
				return connected(db);
			note_failure(db, why);
			db->read_only_seen =
				db->read_only_seen ||
				strcmp(wanted_attrs(db), "read-write") == 0;
			break;
		default:
			note_refusal(db);
			break;
		}
		/* A new attempt must be waited for before it is polled. */
		if (next_host(db))
			return DB_CONNECT_WRITE;
	}
	return all_failed(db, e);
}

void
db_connect_expired(struct db *db)
{
	note_failure(db, "no answer within database_connect_timeout");
	if (!next_host(db))
		db_disconnect(db);
}
