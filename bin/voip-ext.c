/* voip-ext: the directory from the shell. */

#include "ext.h"
#include "opt.h"

static char *domain;
static int dry_run;

static int arguments;
static char **argument;

static const struct poptOption options[] = {
	{ "domain", 'd', POPT_ARG_STRING, &domain, 0,
	  "list only what is of DOMAIN", "DOMAIN" },
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0,
	  "try a change and roll it back", NULL },
	POPT_TABLEEND
};

static int
run(int argc, const char **argv, struct verr *e)
{
	struct ext_options o = { .domain = domain,
				 .dry_run = dry_run,
				 .argc = arguments,
				 .argv = argument };

	if (out_format_from_options(&o.format, e) == -1)
		return -1;
	return ext_run(&o, argc, argv, e);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[ENTITY] VERB [KEY] [FIELD=VALUE...]",
		.summary = "Manage domains, users, extensions and what they "
			   "point to.",
		.options = options,
		.run = run,
		.formats = true,
	};

	arguments = argc;
	argument = (char **)argv;
	return opt_main(argc, argv, &program);
}
