/* voip-cdr-flush: move queued call detail records into their table. */

#include <popt.h>
#include <stdio.h>
#include <unistd.h>

#include "flush.h"
#include "log.h"
#include "opt.h"
#include "service.h"
#include "verr.h"

static int follow;
static int dry_run;

/* clang-format off */
static const struct poptOption options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0,
	  "say what would be done, change nothing", NULL },
	{ "follow", 'F', POPT_ARG_NONE, &follow, 0,
	  "stay, and take what comes", NULL },
	POPT_TABLEEND
};
/* clang-format on */

static int
run(int argc, const char **argv, struct verr *e)
{
	struct flush_counts counts = { 0 };
	struct flush *f;
	int stop_fd, rc;

	(void)argv;
	if (argc > 0)
		return verr_set(e, VERR_USAGE, "no arguments are taken");
	if (follow && dry_run)
		return verr_set(e, VERR_USAGE,
				"--follow and --dry-run exclude each other");
	stop_fd = service_stop_signals(e);
	if (stop_fd == -1)
		return -1;
	f = flush_new(follow, e);
	if (!f) {
		rc = -1;
		goto out;
	}
	if (follow) {
		service_notify("READY=1");
		rc = flush_follow(f, stop_fd, &counts, e);
	} else if (dry_run) {
		rc = flush_dry_run(f, &counts, e);
	} else {
		rc = flush_run(f, stop_fd, &counts, e);
	}
	if (counts.mismatched > 0)
		log_warning("%ld CDRs came under another uuid than their own",
			    counts.mismatched);
	if (counts.busy && rc == 0)
		log_info("another flusher is at work");
	printf("%sstored %ld, duplicate %ld, dead %ld\n",
	       dry_run ? "would be " : "", counts.stored, counts.duplicates,
	       counts.dead);
out:
	flush_free(f);
	close(stop_fd);
	return rc;
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "",
		.summary = "Move queued call detail records into their table.",
		.options = options,
		.run = run,
	};

	return opt_main(argc, argv, &program);
}
