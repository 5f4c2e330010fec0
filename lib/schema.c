#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db.h"
#include "hash.h"
#include "sqlfiles.h"

/* A migration may rewrite a large table. */
#define TIMEOUT_MS (INT64_C(24) * 3600 * 1000)

/* Advisory locks are per database; this number is "voip" in ASCII. */
#define LOCK "select pg_advisory_lock(1987012976)"

#define VERSION_TABLE                                                   \
	"create schema if not exists voip authorization voip_owner;\n"  \
	"create table if not exists voip.schema_version (\n"            \
	"	version integer primary key,\n"                               \
	"	name text not null,\n"                                        \
	"	checksum text not null,\n"                                    \
	"	applied_at timestamptz not null default clock_timestamp(),\n" \
	"	applied_by text not null default session_user\n"              \
	");\n"                                                          \
	"alter table voip.schema_version owner to voip_owner;\n"

static const char *const state_names[] = {
	[SCHEMA_APPLIED] = "applied",
	[SCHEMA_PENDING] = "pending",
	[SCHEMA_CHANGED] = "changed",
	[SCHEMA_UNKNOWN] = "unknown",
};

const char *
schema_state_name(enum schema_state state)
{
	return state_names[state];
}

static const char *
file_text(const char *name)
{
	for (const struct sql_file *f = sql_files; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f->text;
	return NULL;
}

/* Migrations are the files whose names begin with a number. */
static int
file_version(const struct sql_file *f)
{
	return (int)strtol(f->name, NULL, 10);
}

static struct db *
open_db(const char *dbname, struct verr *e)
{
	static const char *const session[] = {
		"set client_min_messages = warning",
		"set lock_timeout = 0",
		"set statement_timeout = 0",
		NULL,
	};
	struct db_options o = {
		.dbname = dbname,
		.session_attrs = "read-write",
		.retry = DB_RETRY_INTERACTIVE,
		.timeout_ms = TIMEOUT_MS,
		.session_sql = session,
	};

	return db_new(&o, e);
}

/* --- status ----------------------------------------------------------- */

/* What is applied: rows of voip.schema_version, none without the table. */
static int
read_applied(struct db *db, struct db_result **r, struct verr *e)
{
	struct db_result *exists = NULL;
	bool found;

	*r = NULL;
	if (db_query(db, &exists,
		     "select to_regclass('voip.schema_version') is not null", 0,
		     NULL, e) == -1)
		return -1;
	found = db_is_true(exists, 0, 0);
	db_result_free(exists);
	if (!found)
		return 0;
	return db_query(db, r,
			"select version, name, checksum, to_char(applied_at"
			" at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
			" as applied_at, applied_by"
			" from voip.schema_version order by version",
			0, NULL, e);
}

static int
applied_row(const struct db_result *r, int version)
{
	for (int i = 0; r && i < db_rows(r); i++)
		if ((int)strtol(db_field(r, i, "version"), NULL, 10) == version)
			return i;
	return -1;
}

static int
compare(const struct sql_file *f, const struct db_result *r,
	struct schema_row *row, struct verr *e)
{
	char checksum[HASH_SHA256_HEX];
	int i;

	*row = (struct schema_row){ .version = file_version(f) };
	snprintf(row->name, sizeof(row->name), "%s", f->name);
	i = applied_row(r, row->version);
	if (i == -1) {
		row->state = SCHEMA_PENDING;
		return 0;
	}
	if (hash_sha256_hex(checksum, f->text, strlen(f->text), e) == -1)
		return -1;
	row->state = strcmp(checksum, db_field(r, i, "checksum")) == 0
			     ? SCHEMA_APPLIED
			     : SCHEMA_CHANGED;
	snprintf(row->applied_at, sizeof(row->applied_at), "%s",
		 db_field(r, i, "applied_at"));
	snprintf(row->applied_by, sizeof(row->applied_by), "%s",
		 db_field(r, i, "applied_by"));
	return 0;
}

static bool
is_known(int version)
{
	for (const struct sql_file *f = sql_files; f->name; f++)
		if (version && file_version(f) == version)
			return true;
	return false;
}

static void
unknown_row(const struct db_result *r, int i, struct schema_row *row)
{
	*row = (struct schema_row){
		.version = (int)strtol(db_field(r, i, "version"), NULL, 10),
		.state = SCHEMA_UNKNOWN,
	};
	snprintf(row->name, sizeof(row->name), "%s", db_field(r, i, "name"));
	snprintf(row->applied_at, sizeof(row->applied_at), "%s",
		 db_field(r, i, "applied_at"));
	snprintf(row->applied_by, sizeof(row->applied_by), "%s",
		 db_field(r, i, "applied_by"));
}

/* Every migration, of the program and of the database. */
static int
each_row(struct db *db, schema_row_fn fn, void *arg, struct verr *e)
{
	struct db_result *r = NULL;
	struct schema_row row;
	int rc = read_applied(db, &r, e);

	for (const struct sql_file *f = sql_files; rc == 0 && f->name; f++) {
		if (!file_version(f))
			continue;
		rc = compare(f, r, &row, e);
		if (rc == 0)
			fn(&row, arg);
	}
	for (int i = 0; rc == 0 && r && i < db_rows(r); i++) {
		unknown_row(r, i, &row);
		if (!is_known(row.version))
			fn(&row, arg);
	}
	db_result_free(r);
	return rc;
}

struct current {
	bool current;
	schema_row_fn fn;
	void *arg;
};

static void
see_current(const struct schema_row *row, void *arg)
{
	struct current *c = arg;

	c->current = c->current && row->state == SCHEMA_APPLIED;
	c->fn(row, c->arg);
}

int
schema_status(bool *current, schema_row_fn fn, void *arg, struct verr *e)
{
	struct current c = { .current = true, .fn = fn, .arg = arg };
	struct db *db = open_db(NULL, e);
	int rc = db ? each_row(db, see_current, &c, e) : -1;

	db_free(db);
	*current = c.current;
	return rc;
}

/* --- changes ---------------------------------------------------------- */

/* One file, and what must be true when and only when it was applied. */
static int
apply(struct db *db, const char *name, const char *also, int nparams,
      const struct db_param *params, struct verr *e)
{
	const char *text = file_text(name);

	if (!text)
		return verr_set(e, VERR_BUG, "no file '%s' is compiled in",
				name);
	if (db_begin(db, e) == -1 || db_script(db, text, e) == -1 ||
	    db_script(db, "reset role; reset search_path", e) == -1 ||
	    (also && db_query(db, NULL, also, nparams, params, e) == -1) ||
	    db_commit(db, e) == -1) {
		db_rollback(db);
		return verr_wrap(e, "cannot apply '%s'", name);
	}
	return 0;
}

static int
apply_migration(struct db *db, const struct schema_row *row, struct verr *e)
{
	char version[16], checksum[HASH_SHA256_HEX];
	const char *text = file_text(row->name);

	snprintf(version, sizeof(version), "%d", row->version);
	if (!text || hash_sha256_hex(checksum, text, strlen(text), e) == -1)
		return -1;
	return apply(db, row->name,
		     "insert into voip.schema_version (version, name, checksum)"
		     " values ($1::int, $2, $3)",
		     3,
		     (struct db_param[]){ DB_TEXT(version), DB_TEXT(row->name),
					  DB_TEXT(checksum) },
		     e);
}

struct plan {
	struct schema_row rows[1024];
	size_t count;
};

static void
plan_row(const struct schema_row *row, void *arg)
{
	struct plan *plan = arg;

	if (plan->count < sizeof(plan->rows) / sizeof(plan->rows[0]))
		plan->rows[plan->count++] = *row;
}

static int
check_plan(const struct plan *plan, struct verr *e)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct schema_row *row = &plan->rows[i];

		if (row->state == SCHEMA_UNKNOWN)
			return verr_set(e, VERR_CONFLICT,
					"the schema is newer than this "
					"program: it has '%s'\n"
					"hint: install the release that made "
					"it",
					row->name);
		if (row->state == SCHEMA_CHANGED)
			return verr_set(e, VERR_CONFLICT,
					"migration '%s' was applied with "
					"another text\n"
					"hint: a released migration is never "
					"edited; install the release that "
					"made this database",
					row->name);
	}
	return 0;
}

static int
upgrade_locked(struct db *db, struct plan *plan, schema_row_fn fn, void *arg,
	       struct verr *e)
{
	if (db_script(db, "begin;" VERSION_TABLE "commit", e) == -1 ||
	    each_row(db, plan_row, plan, e) == -1 || check_plan(plan, e) == -1)
		return -1;
	for (size_t i = 0; i < plan->count; i++) {
		struct schema_row *row = &plan->rows[i];

		if (row->state != SCHEMA_PENDING)
			continue;
		if (apply_migration(db, row, e) == -1)
			return -1;
		row->state = SCHEMA_APPLIED;
		fn(row, arg);
	}
	return apply(db, "grant.sql", NULL, 0, NULL, e);
}

static int
upgrade(schema_row_fn fn, void *arg, struct verr *e)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct db *db = open_db(NULL, e);
	int rc = -1;

	if (!plan)
		verr_set(e, VERR_RETRY, "out of memory");
	else if (db && db_script(db, LOCK, e) == 0)
		rc = upgrade_locked(db, plan, fn, arg, e);
	db_free(db); /* and with it the lock */
	free(plan);
	return rc;
}

/* The statement is put together by the server, which quotes the name. */
static int
create_database(struct db *db, const char *name, struct verr *e)
{
	struct db_result *r = NULL;
	int rc;

	if (db_query(
		    db, &r,
		    "select format('create database %I owner voip_owner', $1::text)"
		    " where not exists (select from pg_database"
		    " where datname = $1::text)",
		    1, (struct db_param[]){ DB_TEXT(name) }, e) == -1)
		return -1;
	rc = db_rows(r) ? db_script(db, db_value(r, 0, 0), e) : 0;
	db_result_free(r);
	return rc;
}

/* Roles are the cluster's: the lock is taken where every one takes it. */
static int
create(struct verr *e)
{
	struct db *target = open_db(NULL, e), *db = NULL;
	char *name = target ? db_name(target, e) : NULL;
	int rc = -1;

	if (name)
		db = open_db("postgres", e);
	if (db && db_script(db, LOCK, e) == 0 &&
	    apply(db, "cluster.sql", NULL, 0, NULL, e) == 0)
		rc = create_database(db, name, e);
	free(name);
	db_free(db);
	db_free(target);
	return rc;
}

int
schema_upgrade(bool with_create, schema_row_fn fn, void *arg, struct verr *e)
{
	if (with_create && create(e) == -1)
		return -1;
	return upgrade(fn, arg, e);
}

int
schema_grant(struct verr *e)
{
	struct db *db = open_db(NULL, e);
	int rc = -1;

	if (db && db_script(db, LOCK, e) == 0)
		rc = apply(db, "grant.sql", NULL, 0, NULL, e);
	db_free(db);
	return rc;
}
