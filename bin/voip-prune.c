/* voip-prune: what is old goes, what will be needed is made. */

#include <popt.h>
#include <unistd.h>

#include "opt.h"
#include "prune.h"
#include "service.h"

static int dry_run;

/* clang-format off */
static const struct poptOption options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0,
	  "say what would be done, change nothing", NULL },
	POPT_TABLEEND
};
/* clang-format on */

static int
run(int argc, const char **argv, struct verr *e)
{
	struct prune_options o = { .dry_run = dry_run,
				   .jobs = argv,
				   .njobs = argc };
	int rc;

	o.stop_fd = service_stop_signals(e);
	if (o.stop_fd == -1)
		return -1;
	rc = prune_run(&o, e);
	close(o.stop_fd);
	return rc;
}

static void
list_jobs(struct buf *b)
{
	buf_puts(b, "\nJobs:\n");
	for (const struct prune_job *job = prune_jobs; job->name; job++)
		buf_printf(b, "  %-12s %s\n", job->name, job->summary);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[JOB...]",
		.summary = "Remove what is old, and make partitions ahead.",
		.options = options,
		.run = run,
		.more_help = list_jobs,
		.formats = true,
	};

	return opt_main(argc, argv, &program);
}
