#include "prune.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf.h"
#include "log.h"
#include "loop.h"
#include "progress.h"

/* A lock that calls hold for an instant is free soon. */
#define PAUSE_NS 250000000L

/* What a run that was killed has detached and not dropped comes first. */
static const char left_sql[] =
	"select c.relname, pg_total_relation_size(c.oid) from pg_class as c"
	" where c.relnamespace = 'voip'::regnamespace and c.relkind = 'r'"
	" and c.relname ~ ('^old_' || $1::text || '_[0-9_]+$')"
	" order by c.relname";

/* $2: in seconds.  The bounds are read back in the zone that printed them. */
static const char expired_sql[] =
	"select relname, pg_total_relation_size(oid), low::text, high::text"
	" from (select c.oid, c.relname,"
	" substring(pg_get_expr(c.relpartbound, c.oid)"
	" from $r$FROM \\('([^']+)'\\)$r$)::timestamptz as low,"
	" substring(pg_get_expr(c.relpartbound, c.oid)"
	" from $r$TO \\('([^']+)'\\)$r$)::timestamptz as high"
	" from pg_inherits as i join pg_class as c on c.oid = i.inhrelid"
	" where i.inhparent = to_regclass('voip.' || $1::text)) as part"
	" where high < now() - greatest($2::bigint, 86400)"
	" * interval '1 second' order by low";

static const char count_cdr_sql[] =
	"select count(*) from voip.cdr where start_time >= $1::timestamptz"
	" and start_time < $2::timestamptz";
static const char count_raw_sql[] =
	"select count(*) from voip.cdr_raw where start_time >= $1::timestamptz"
	" and start_time < $2::timestamptz";

/* Waits for the lock in short tries, so that nothing queues behind us. */
static int
patiently(struct prune *p, struct db_result **r, const char *sql, int nparams,
	  const struct db_param *params, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int64_t end_ms = loop_now_ms() + conf_ms("prune_lock_wait");

	for (;;) {
		struct verr why = VERR_INIT;

		if (prune_stopped(p, e) == -1)
			return -1;
		if (db_query(p->db, r, sql, nparams, params, &why) == 0)
			return 0;
		if (loop_now_ms() >= end_ms ||
		    strcmp(db_sqlstate(p->db), "55P03") != 0) {
			*e = why;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
}

static int
dump_and_drop(struct prune *p, const struct prune_job *job, const char *table,
	      int64_t rows, int64_t bytes, struct verr *e)
{
	if (prune_dump(p, table, rows, e) == -1 ||
	    patiently(p, NULL, "select voip.prune_drop($1::text)", 1,
		      &DB_TEXT(table), e) == -1)
		return -1;
	prune_report(p, job->name, table + strlen("old_"), "dropped", rows,
		     bytes);
	return 0;
}

static int
drop_left(struct prune *p, const struct prune_job *job, struct verr *e)
{
	struct db_result *r = NULL;
	int rc = 0;

	if (db_query(p->db, &r, left_sql, 1, &DB_TEXT(job->parent), e) == -1)
		return -1;
	for (int i = 0; rc == 0 && i < db_rows(r); i++) {
		const char *table = db_value(r, i, 0);
		int64_t bytes = strtoll(db_value(r, i, 1), NULL, 10);

		if (p->o->dry_run)
			prune_report(p, job->name, table, "drop", PRUNE_UNKNOWN,
				     bytes);
		else
			rc = dump_and_drop(p, job, table, PRUNE_UNKNOWN, bytes,
					   e);
	}
	db_result_free(r);
	return rc;
}

static int
part_with(struct prune *p, const struct prune_job *job,
	  const struct db_result *parts, int i, struct verr *e)
{
	const struct db_param bounds[] = { DB_TEXT(db_value(parts, i, 2)),
					   DB_TEXT(db_value(parts, i, 3)) };
	const struct db_param names[] = { DB_TEXT(job->parent),
					  DB_TEXT(db_value(parts, i, 0)) };
	int64_t bytes = strtoll(db_value(parts, i, 1), NULL, 10), n[2];
	struct db_result *r = NULL;
	int rc;

	if (prune_numbers(p,
			  strcmp(job->parent, "cdr") == 0 ? count_cdr_sql
							  : count_raw_sql,
			  2, bounds, n, e) == -1)
		return -1;
	if (p->o->dry_run) {
		prune_report(p, job->name, names[1].value, "drop", n[0], bytes);
		return 0;
	}
	rc = patiently(p, &r, "select voip.prune_detach($1::text, $2::text)", 2,
		       names, e);
	if (rc == 0)
		rc = dump_and_drop(p, job, db_value(r, 0, 0), n[0], bytes, e);
	db_result_free(r);
	return rc;
}

static int
drop_expired(struct prune *p, const struct prune_job *job, struct verr *e)
{
	struct db_result *parts = NULL;
	char age_s[24];
	const struct db_param params[] = { DB_TEXT(job->parent),
					   DB_TEXT(age_s) };
	struct progress progress;
	int rc = 0;

	snprintf(age_s, sizeof(age_s), "%" PRId64,
		 conf_ms(job->setting) / 1000);
	if (db_query(p->db, &parts, expired_sql, 2, params, e) == -1)
		return -1;
	progress_begin(&progress, job->name, "partitions",
		       (uint64_t)db_rows(parts));
	for (int i = 0; rc == 0 && i < db_rows(parts); i++) {
		rc = part_with(p, job, parts, i, e);
		progress_add(&progress, 1);
	}
	progress_end(&progress);
	db_result_free(parts);
	return rc;
}

/* The alarm, after all else is done. */
static int
watch_default(struct prune *p, const struct prune_job *job, struct verr *e)
{
	int64_t n[2];

	if (prune_numbers(p, job->default_sql, 0, NULL, n, e) == -1)
		return -1;
	if (!n[0])
		return 0;
	prune_report(p, job->name, job->parent, "alarm", n[0], PRUNE_UNKNOWN);
	return verr_set(e, VERR_NOTFOUND,
			"%" PRId64 " rows of voip.%s are in no partition of "
			"their own\n"
			"hint: select voip.%s_partition(start_time) from "
			"voip.%s_default limit 1, until none is left",
			n[0], job->parent, job->parent, job->parent);
}

int
prune_partitions(struct prune *p, const struct prune_job *job, struct verr *e)
{
	bool is_kept = conf_ms(job->setting) > 0;
	int64_t n[2] = { 0, 0 };

	if (is_kept && !p->o->dry_run &&
	    prune_numbers(p, job->ahead_sql, 1,
			  &DB_TEXT(conf_str("prune_ahead")), n, e) == -1)
		return -1;
	if (n[0] > 0)
		log_info("%s: %" PRId64 " partitions made", job->parent, n[0]);
	if (drop_left(p, job, e) == -1 || drop_expired(p, job, e) == -1)
		return -1;
	return watch_default(p, job, e);
}
