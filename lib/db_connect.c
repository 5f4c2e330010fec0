/*
 * The walk over the hosts.  libpq would do it, but its libpq 15 form waits for
 * ever on a silent host (PQconnectPoll knows no connect_timeout), so each host
 * gets a connection attempt of its own, with our deadline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf.h"
#include "db_private.h"
#include "metrics.h"

static const char *
find_option(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o && o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	return NULL;
}

static const char *
option(const struct db *db, const char *keyword)
{
	return find_option(db->options, keyword);
}

void
db_connect_release(struct db *db)
{
	for (size_t i = 0; i < db->nhosts; i++) {
		free(db->hosts[i].host);
		free(db->hosts[i].hostaddr);
		free(db->hosts[i].port);
	}
	free(db->hosts);
	db->hosts = NULL;
	db->nhosts = 0;
	PQconninfoFree(db->options);
	db->options = NULL;
	buf_release(&db->failures);
}

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

/* libpq's default user is the person's; a program has a role of its own. */
static void
use_role(const struct db *db, PQconninfoOption *options,
	 const PQconninfoOption *given)
{
	if (!db->role || getenv("PGUSER") || getenv("PGSERVICE") ||
	    find_option(given, "user"))
		return;
	for (PQconninfoOption *o = options; o->keyword; o++) {
		if (strcmp(o->keyword, "user") != 0)
			continue;
		PQfreemem(o->val);
		o->val = strdup(db->role);
	}
}

/* libpq's own merge of string, service file and environment. */
static PQconninfoOption *
read_options(const struct db *db, struct verr *e)
{
	const char *conninfo =
		db->conninfo ? db->conninfo : conf_str("database");
	PQconninfoOption *given, *defaults;
	char *why = NULL;

	given = PQconninfoParse(conninfo, &why);
	if (!given) {
		struct buf b = BUF_INIT;

		db_error_text(&b, why ? why : "out of memory");
		verr_set(e, VERR_CONFIG, "setting 'database' is wrong: %s",
			 b.data);
		buf_release(&b);
		PQfreemem(why);
		return NULL;
	}
	/*
	 * PQconndefaults() reads the service of PGSERVICE only; one that is
	 * named in the string is handed to it through the environment.
	 */
	for (PQconninfoOption *o = given; o->keyword; o++)
		if (strcmp(o->keyword, "service") == 0 && o->val && *o->val)
			setenv("PGSERVICE", o->val, 1);
	defaults = PQconndefaults();
	if (!defaults) {
		PQconninfoFree(given);
		verr_set(e, VERR_CONFIG,
			 "cannot read the database service file, or out of "
			 "memory");
		return NULL;
	}
	for (PQconninfoOption *d = defaults, *g = given; d->keyword; d++, g++) {
		if (!g->val)
			continue;
		PQfreemem(d->val);
		d->val = strdup(g->val);
	}
	use_role(db, defaults, given);
	PQconninfoFree(given);
	return defaults;
}

int
db_connect_check(const struct db *db, struct verr *e)
{
	PQconninfoOption *options = read_options(db, e);

	PQconninfoFree(options);
	return options ? 0 : -1;
}

char *
db_name(const struct db *db, struct verr *e)
{
	PQconninfoOption *options = read_options(db, e);
	const char *name, *user;
	char *copy = NULL;

	if (!options)
		return NULL;
	name = find_option(options, "dbname");
	user = find_option(options, "user");
	if (!name)
		name = user; /* as libpq does it */
	if (name)
		copy = strdup(name);
	if (!copy)
		verr_set(e, name ? VERR_RETRY : VERR_CONFIG,
			 name ? "out of memory" : "no database is named");
	PQconninfoFree(options);
	return copy;
}

/* The n-th item of a comma-separated list; the last one stands for the rest. */
static char *
list_item(const char *list, size_t n, bool repeat)
{
	const char *p = list, *comma;

	if (!list)
		return strdup("");
	while ((comma = strchr(p, ',')) && n) {
		p = comma + 1;
		n--;
	}
	if (n && !(repeat && p == list))
		return strdup("");
	return comma ? strndup(p, (size_t)(comma - p)) : strdup(p);
}

static size_t
list_length(const char *list)
{
	size_t n = list ? 1 : 0;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

static int
add_host(struct db *db, const char *host, const char *hostaddr,
	 const char *port)
{
	struct db_host *more, *h;

	more = realloc(db->hosts, (db->nhosts + 1) * sizeof(*more));
	if (!more)
		return -1;
	db->hosts = more;
	h = &more[db->nhosts++];
	h->host = strdup(host);
	h->hostaddr = hostaddr ? strdup(hostaddr) : NULL;
	h->port = strdup(*port ? port : "5432");
	return h->host && h->port && (!hostaddr || h->hostaddr) ? 0 : -1;
}

/*
 * Every address of a name.  This is the one call that may block for longer than
 * a deadline, when the resolver hangs: addresses in the setting avoid it.
 */
static int
resolve(struct db *db, const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	char address[INET6_ADDRSTRLEN + 32];
	int rc;

	rc = getaddrinfo(host, NULL, &hints, &found);
	if (rc != 0) {
		buf_printf(&db->failures, "%s'%s': %s",
			   db->failures.len ? "; " : "", host,
			   gai_strerror(rc));
		return 0;
	}
	rc = 0;
	for (struct addrinfo *a = found; a && rc == 0; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, address,
				sizeof(address), NULL, 0, NI_NUMERICHOST) == 0)
			rc = add_host(db, host, address, port);
	freeaddrinfo(found);
	return rc;
}

static int
read_hosts(struct db *db)
{
	const char *hosts = option(db, "host"), *ports = option(db, "port");
	const char *addresses = option(db, "hostaddr");
	size_t n = list_length(addresses ? addresses : hosts);
	int rc = 0;

	if (n == 0)
		n = 1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		char *host = list_item(hosts, i, false);
		char *address = list_item(addresses, i, false);
		char *port = list_item(ports, i, true);

		if (!host || !address || !port)
			rc = -1;
		else if (*address)
			rc = add_host(db, host, address, port);
		else if (*host && *host != '/' && *host != '@')
			rc = resolve(db, host, port);
		else
			rc = add_host(db, host, NULL, port);
		free(host);
		free(address);
		free(port);
	}
	return rc;
}

static const char *
wanted_attrs(const struct db *db)
{
	const char *attrs = option(db, "target_session_attrs");

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

/* A connection attempt to the host of the walk; false: go on to the next. */
static bool
start_host(struct db *db)
{
	const char *keywords[64], *values[64];
	const struct db_host *h = &db->hosts[db->host];
	size_t n = 0;
	struct {
		const char *keyword;
		const char *value;
	} ours[] = {
		{ "host", h->host },
		{ "hostaddr", h->hostaddr ? h->hostaddr : "" },
		{ "port", h->port },
		{ "target_session_attrs", "any" },
		{ "dbname", db->dbname },
		{ "fallback_application_name", program_invocation_short_name },
	};
	/* A dead peer is noticed soon, where the user has set nothing. */
	char own_timeout[24];
	int64_t own_ms;
	const struct {
		const char *keyword;
		const char *value;
	} unless_set[] = {
		{ "tcp_user_timeout", own_timeout },
		{ "keepalives_idle", "15" },
		{ "keepalives_interval", "5" },
		{ "keepalives_count", "3" },
	};

	for (PQconninfoOption *o = db->options; o->keyword && n < 52; o++) {
		if (!o->val || !*o->val || strcmp(o->keyword, "service") == 0)
			continue;
		keywords[n] = o->keyword;
		values[n++] = o->val;
	}
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (!ours[i].value)
			continue;
		keywords[n] = ours[i].keyword;
		values[n++] = ours[i].value;
	}
	/* What is sent arrives soon, however long the answer takes. */
	own_ms = conf_ms("database_timeout");
	if (db_timeout_ms(db) < own_ms)
		own_ms = db_timeout_ms(db);
	snprintf(own_timeout, sizeof(own_timeout), "%lld", (long long)own_ms);
	for (size_t i = 0; i < sizeof(unless_set) / sizeof(unless_set[0]);
	     i++) {
		if (option(db, unless_set[i].keyword))
			continue;
		keywords[n] = unless_set[i].keyword;
		values[n++] = unless_set[i].value;
	}
	keywords[n] = NULL;
	values[n] = NULL;
	own_ms = conf_ms("database_connect_timeout");
	if (db->timeout_ms && db->timeout_ms < own_ms)
		own_ms = db->timeout_ms;
	db->host_deadline_ms = loop_now_ms() + own_ms;
	db->conn = PQconnectStartParams(keywords, values, 0);
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
	db_connect_release(db);
	db->second_walk = false;
	db->read_only_seen = false;
	db->failure_kind = VERR_RETRY;
	db->options = read_options(db, e);
	if (!db->options)
		return -1;
	if (read_hosts(db) == -1)
		return verr_set(e, VERR_RETRY, "out of memory");
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
