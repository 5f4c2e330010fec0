#include "prune.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "progress.h"

/* The rows of `tenant`, or of all when it is NULL. */
static int
prune_old(struct prune *p, const struct prune_job *job, const char *tenant,
	  const char *age_s, struct verr *e)
{
	const struct db_param params[] = { DB_TEXT(age_s), DB_TEXT(tenant),
					   DB_TEXT(conf_str("prune_batch")) };
	int64_t found[2], n[2] = { 1, 0 }, done = 0;
	struct progress progress;
	int rc;

	if (prune_numbers(p, job->count_sql, 2, params, found, e) == -1)
		return -1;
	if (p->o->dry_run || !found[0]) {
		if (found[0])
			prune_report(p, job->name, tenant, "remove", found[0],
				     found[1]);
		return 0;
	}
	progress_begin(&progress, job->name, "rows", (uint64_t)found[0]);
	do {
		rc = prune_stopped(p, e);
		if (rc == 0)
			rc = prune_numbers(p, job->step_sql, 3, params, n, e);
		if (rc == 0 && n[0] > 0) {
			done += n[0];
			progress_add(&progress, (uint64_t)n[0]);
		}
	} while (rc == 0 && n[0] > 0);
	progress_end(&progress);
	prune_report(p, job->name, tenant, "removed", done,
		     done == found[0] ? found[1] : PRUNE_UNKNOWN);
	return rc;
}

int
prune_rows(struct prune *p, const struct prune_job *job, struct verr *e)
{
	struct db_result *r = NULL;
	int rc = 0;

	if (job->setting) {
		char age_s[24];

		snprintf(age_s, sizeof(age_s), "%" PRId64,
			 conf_ms(job->setting) / 1000);
		return conf_ms(job->setting) ? prune_old(p, job, NULL, age_s, e)
					     : 0;
	}
	if (db_query(p->db, &r, job->list_sql, 0, NULL, e) == -1)
		return -1;
	for (int i = 0; rc == 0 && i < db_rows(r); i++)
		rc = prune_old(p, job, db_value(r, i, 0), db_value(r, i, 1), e);
	db_result_free(r);
	return rc;
}
