/* The connection string: its options, and each address that it leads to. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf.h"
#include "db_private.h"

static const char *
find_option(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o && o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	return NULL;
}

const char *
db_option(const struct db *db, const char *keyword)
{
	return find_option(db->options, keyword);
}

void
db_hosts_release(struct db *db)
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
db_hosts_check(const struct db *db, struct verr *e)
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
list_hosts(struct db *db)
{
	const char *hosts = db_option(db, "host"),
		   *ports = db_option(db, "port");
	const char *addresses = db_option(db, "hostaddr");
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

int
db_hosts_read(struct db *db, struct verr *e)
{
	db_hosts_release(db);
	db->options = read_options(db, e);
	if (!db->options)
		return -1;
	return list_hosts(db) == -1 ? verr_set(e, VERR_RETRY, "out of memory")
				    : 0;
}
