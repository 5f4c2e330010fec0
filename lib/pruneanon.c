#include "prune.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "progress.h"

/* What tells who talked to whom; what is counted and billed stays. */
#define ERASED                                                          \
	"caller_number = null, caller_name = null, destination = null," \
	" destination_last = null, account = null, network_ip = null,"  \
	" sip_call_id = null, recording = null, transfer = null,"       \
	" last_app = null"
#define IS_KNOWN                                                       \
	"num_nonnulls(c.caller_number, c.caller_name, c.destination,"  \
	" c.destination_last, c.account, c.network_ip, c.sip_call_id," \
	" c.recording, c.transfer, c.last_app) > 0"

#define OLD "c.start_time < now() - $1::bigint * interval '1 second'"
/* Those of a tenant with a rule of its own, or of all the others. */
#define OF_TENANT "c.domain = $2::text"
#define OF_OTHERS                                           \
	"$2::text is null and not exists (select"           \
	" from voip.domains as d where d.domain = c.domain" \
	" and d.cdr_anonymise_days is not null)"

/* $1 age, $2 tenant, $3 how many, $4 and $5 the leg before the page. */
#define COUNT_SQL(whose)                                                 \
	"select count(*), coalesce(sum(pg_column_size(c.*)), 0)::bigint" \
	" from voip.cdr as c where " IS_KNOWN " and " OLD " and " whose  \
	" and (c.start_time, c.leg_uuid)"                                \
	" > ($4::timestamptz, $5::text collate \"C\")"                   \
	" and $3::int is not null"
#define STEP_SQL(whose)                                                  \
	"with page as materialized (select c.start_time, c.leg_uuid"     \
	" from voip.cdr as c where " whose " and " OLD                   \
	" and (c.start_time, c.leg_uuid)"                                \
	" > ($4::timestamptz, $5::text collate \"C\")"                   \
	" order by c.start_time, c.leg_uuid limit $3::int),"             \
	" done as (update voip.cdr as c set " ERASED " from page"        \
	" where c.start_time = page.start_time"                          \
	" and c.leg_uuid = page.leg_uuid and " IS_KNOWN " returning 1)," \
	" raw as (delete from voip.cdr_raw as r using page"              \
	" where r.start_time = page.start_time"                          \
	" and r.leg_uuid = page.leg_uuid)"                               \
	" select (select count(*) from done), p.start_time::text,"       \
	" p.leg_uuid from page as p"                                     \
	" order by p.start_time desc, p.leg_uuid desc limit 1"

static const char *const count_sql[] = { COUNT_SQL(OF_OTHERS),
					 COUNT_SQL(OF_TENANT) };
static const char *const step_sql[] = { STEP_SQL(OF_OTHERS),
					STEP_SQL(OF_TENANT) };

/* Legs that came late, from a node that was away, are found for a month. */
static const char from_sql[] =
	"select coalesce((select until - interval '31 days'"
	" from voip.prune_mark where job = $1::text and object = $2::text),"
	" '-infinity')::text";
static const char mark_sql[] =
	"insert into voip.prune_mark (job, object, until) values ($1::text,"
	" $2::text, now() - $3::bigint * interval '1 second')"
	" on conflict (job, object) do update set until = excluded.until";

static const char all_sql[] =
	"select domain, cdr_anonymise_days * 86400::bigint from voip.domains"
	" where cdr_anonymise_days is not null"
	" union all select null, $1::bigint where $1::bigint > 0 order by 1";

/* Where the next page begins. */
struct place {
	char time[64];
	char leg_uuid[1025]; /* 256 characters */
};

static int
step(struct prune *p, const struct db_param *params, bool is_tenant,
     struct place *at, int64_t *n, struct verr *e)
{
	struct db_result *r = NULL;

	if (db_query(p->db, &r, step_sql[is_tenant], 5, params, e) == -1)
		return -1;
	*n = -1;
	if (db_rows(r)) {
		*n = strtoll(db_value(r, 0, 0), NULL, 10);
		snprintf(at->time, sizeof(at->time), "%s", db_value(r, 0, 1));
		snprintf(at->leg_uuid, sizeof(at->leg_uuid), "%s",
			 db_value(r, 0, 2));
	}
	db_result_free(r);
	return 0;
}

static int
walk(struct prune *p, const struct prune_job *job, const char *tenant,
     const struct db_param *params, struct place *at, int64_t *done,
     struct verr *e)
{
	int64_t found[2], n = 0;
	struct progress progress;
	int rc;

	if (prune_numbers(p, count_sql[tenant != NULL], 5, params, found, e) ==
	    -1)
		return -1;
	if (p->o->dry_run) {
		if (found[0])
			prune_report(p, job->name, tenant, "anonymise",
				     found[0], found[1]);
		return 0;
	}
	progress_begin(&progress, job->name, "legs", (uint64_t)found[0]);
	do {
		rc = prune_stopped(p, e);
		if (rc == 0)
			rc = step(p, params, tenant != NULL, at, &n, e);
		if (rc == 0 && n > 0) {
			*done += n;
			progress_add(&progress, (uint64_t)n);
		}
	} while (rc == 0 && n >= 0);
	progress_end(&progress);
	if (*done)
		prune_report(p, job->name, tenant, "anonymised", *done,
			     PRUNE_UNKNOWN);
	return rc;
}

static int
anonymise(struct prune *p, const struct prune_job *job, const char *tenant,
	  const char *age_s, struct verr *e)
{
	const struct db_param key[] = { DB_TEXT(job->name),
					DB_TEXT(tenant ? tenant : ""),
					DB_TEXT(age_s) };
	struct place at = { "", "" };
	const struct db_param params[] = { DB_TEXT(age_s), DB_TEXT(tenant),
					   DB_TEXT(conf_str("prune_batch")),
					   DB_TEXT(at.time),
					   DB_TEXT(at.leg_uuid) };
	struct db_result *r = NULL;
	int64_t done = 0;

	if (db_query(p->db, &r, from_sql, 2, key, e) == -1)
		return -1;
	snprintf(at.time, sizeof(at.time), "%s", db_value(r, 0, 0));
	db_result_free(r);
	if (walk(p, job, tenant, params, &at, &done, e) == -1)
		return -1;
	return p->o->dry_run ? 0 : db_query(p->db, NULL, mark_sql, 3, key, e);
}

int
prune_anonymise(struct prune *p, const struct prune_job *job, struct verr *e)
{
	struct db_result *r = NULL;
	char age_s[24];
	int rc = 0;

	snprintf(age_s, sizeof(age_s), "%" PRId64,
		 conf_ms(job->setting) / 1000);
	if (db_query(p->db, &r, all_sql, 1, &DB_TEXT(age_s), e) == -1)
		return -1;
	for (int i = 0; rc == 0 && i < db_rows(r); i++)
		rc = anonymise(p, job, db_value(r, i, 0), db_value(r, i, 1), e);
	db_result_free(r);
	return rc;
}
