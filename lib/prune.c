#include "prune.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "opt.h"

/* A count of a large table takes longer than a person's question. */
#define TIMEOUT_MS INT64_C(600000)

static const struct out_column columns[] = {
	{ "job", OUT_TEXT },    { "object", OUT_TEXT },  { "action", OUT_TEXT },
	{ "rows", OUT_NUMBER }, { "bytes", OUT_NUMBER },
};

void
prune_report(struct prune *p, const char *job, const char *object,
	     const char *action, int64_t rows, int64_t bytes)
{
	char r[24], b[24];

	snprintf(r, sizeof(r), "%" PRId64, rows);
	snprintf(b, sizeof(b), "%" PRId64, bytes);
	out_row(p->out, (const char *const[]){ job, object, action,
					       rows >= 0 ? r : NULL,
					       bytes >= 0 ? b : NULL });
}

int
prune_stopped(const struct prune *p, struct verr *e)
{
	struct pollfd fd = { .fd = p->o->stop_fd, .events = POLLIN };

	if (p->o->stop_fd == -1 || poll(&fd, 1, 0) != 1)
		return 0;
	return verr_set(e, VERR_RETRY, "stopped by a signal");
}

int
prune_numbers(struct prune *p, const char *sql, int nparams,
	      const struct db_param *params, int64_t n[2], struct verr *e)
{
	struct db_result *r = NULL;

	if (db_query(p->db, &r, sql, nparams, params, e) == -1)
		return -1;
	for (int i = 0; i < 2; i++) {
		const char *value = i < db_columns(r) && db_rows(r)
					    ? db_value(r, 0, i)
					    : NULL;

		n[i] = value ? strtoll(value, NULL, 10) : PRUNE_UNKNOWN;
	}
	db_result_free(r);
	return 0;
}

static bool
is_wanted(const struct prune_options *o, const char *name)
{
	for (int i = 0; i < o->njobs; i++)
		if (strcmp(o->jobs[i], name) == 0)
			return true;
	return !o->njobs;
}

static int
check_names(const struct prune_options *o, struct verr *e)
{
	for (int i = 0; i < o->njobs; i++) {
		const struct prune_job *job = prune_jobs;

		while (job->name && strcmp(job->name, o->jobs[i]) != 0)
			job++;
		if (!job->name)
			return verr_set(e, VERR_USAGE,
					"there is no job '%.40s'\n"
					"hint: --help lists the jobs",
					o->jobs[i]);
	}
	return 0;
}

/* One that fails must not keep the others from being done. */
static int
run_jobs(struct prune *p, struct verr *e)
{
	int rc = 0;

	for (const struct prune_job *job = prune_jobs; job->name; job++) {
		struct verr why = VERR_INIT;

		if (!is_wanted(p->o, job->name) || job->run(p, job, &why) == 0)
			continue;
		verr_wrap(&why, "%s", job->name);
		if (rc == -1)
			opt_complain(e);
		/* the alarm is told, but never hides a fault */
		if (rc == 0 || e->kind == VERR_NOTFOUND ||
		    why.kind != VERR_NOTFOUND)
			*e = why;
		else
			opt_complain(&why);
		rc = -1;
		if (prune_stopped(p, &why) == -1)
			break;
	}
	return rc;
}

static int
work(struct prune *p, struct verr *e)
{
	enum out_format format;
	int64_t got[2] = { 1, 0 };
	int rc;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	if (!p->o->dry_run && prune_numbers(p,
					    "select pg_try_advisory_lock("
					    "hashtext('voip.prune'))::int",
					    0, NULL, got, e) == -1)
		return -1;
	if (!got[0]) {
		log_info("another voip-prune is at work");
		return 0;
	}
	p->out = out_begin(stdout, format, columns,
			   sizeof(columns) / sizeof(columns[0]), e);
	if (!p->out)
		return -1;
	rc = run_jobs(p, e);
	return out_end(p->out, rc == 0 ? e : &(struct verr){ VERR_NONE, "" }) ||
			       rc
		       ? -1
		       : 0;
}

int
prune_run(const struct prune_options *o, struct verr *e)
{
	struct db_options d = { .role = "voip_prune",
				.session_attrs =
					o->dry_run ? NULL : "read-write",
				.retry = DB_RETRY_INTERACTIVE,
				.timeout_ms = TIMEOUT_MS };
	struct prune p = { .o = o };
	int rc = -1;

	if (check_names(o, e) == -1)
		return -1;
	p.db = db_new(&d, e);
	if (p.db)
		rc = work(&p, e);
	db_free(p.db);
	return rc;
}
