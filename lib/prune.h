/*
 * prune: what is old goes, what will be needed is made.
 *
 * Layer domain.  One table of jobs (prunetable.c) says what is looked after:
 * partitions, rows of a table, records of a tenant, files.  Each job works in
 * small steps, each its own transaction, that wait for no lock longer than an
 * instant, so a kill at any moment leaves nothing half done and calls go on.
 * A job that is not done today is done the next time.
 *
 *	prune_run(&(struct prune_options){ ... }, e)
 *
 * Only one works on a database at a time (an advisory lock); a second says so
 * and is done.  What was done, or with `dry_run` would be, comes as rows on
 * standard output.
 *
 * Errors: VERR_NOTFOUND is the alarm, rows in a default partition; VERR_RETRY
 * a lock that was not to be had, a signal to stop, or no database.  The other
 * jobs run in any case.
 */
#ifndef PRUNE_H
#define PRUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "out.h"
#include "verr.h"

struct prune_options {
	bool dry_run;
	int stop_fd;             /* readable: stop after this step */
	const char *const *jobs; /* names; NULL: all */
	int njobs;
};

struct prune {
	const struct prune_options *o;
	struct db *db;
	struct out *out;
};

struct prune_job;
typedef int (*prune_fn)(struct prune *p, const struct prune_job *job,
			struct verr *e);

struct prune_job {
	const char *name;
	const char *summary;
	prune_fn run;
	/* A duration: older than that goes; 0 keeps for ever, or for
	 * partitions of `parent` "cdr_raw" keeps nothing.  NULL: by `list_sql`.
	 */
	const char *setting;
	const char *parent;    /* partitions: of which table */
	const char *ahead_sql; /* partitions: $1 how many; the number made */
	const char *default_sql;
	/* rows: $1 age in seconds, $2 tenant: count and bytes */
	const char *count_sql;
	/* rows: $1 age, $2 tenant, $3 how many at most */
	const char *step_sql;
	const char *list_sql; /* rows: tenants and the age of each */
};

extern const struct prune_job prune_jobs[]; /* ends with a NULL name */

int prune_run(const struct prune_options *o, struct verr *e);

/* --- for the jobs ------------------------------------------------------ */

#define PRUNE_UNKNOWN INT64_C(-1)

void prune_report(struct prune *p, const char *job, const char *object,
		  const char *action, int64_t rows, int64_t bytes);
/* VERR_RETRY when a signal came. */
int prune_stopped(const struct prune *p, struct verr *e);
/* The two numbers of the first row; `sql` returns one row. */
int prune_numbers(struct prune *p, const char *sql, int nparams,
		  const struct db_param *params, int64_t n[2], struct verr *e);

int
prune_partitions(struct prune *p, const struct prune_job *job, struct verr *e);
int prune_rows(struct prune *p, const struct prune_job *job, struct verr *e);
int
prune_anonymise(struct prune *p, const struct prune_job *job, struct verr *e);
int prune_files(struct prune *p, const struct prune_job *job, struct verr *e);
/* To a file of the directory `prune_dump_dir`; nothing when it is empty. */
int
prune_dump(struct prune *p, const char *table, int64_t rows, struct verr *e);

#endif
