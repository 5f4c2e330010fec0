/* voip-ext: the directory from the shell. */

#include <stdint.h>
#include <stdlib.h>

#include "ext.h"
#include "opt.h"

static char *domain;
static int cascade;
static int fix;
static char *fields;
static char *sort;
static const char **where;
static char *secrets_to;
static char *since, *until, *who;
static int dry_run, limit;
static int secrets, prune, all_domains, partial;
static char *rejects;

static int arguments;
static char **argument;

static const struct poptOption options[] = {
	{ "cascade", '\0', POPT_ARG_NONE, &cascade, 0,
	  "remove what points to it too", NULL },
	{ "domain", 'd', POPT_ARG_STRING, &domain, 0,
	  "list only what is of DOMAIN", "DOMAIN" },
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0,
	  "try a change and roll it back", NULL },
	{ "fix", '\0', POPT_ARG_NONE, &fix, 0,
	  "mend what the doctor can mend safely", NULL },
	{ "fields", '\0', POPT_ARG_STRING, &fields, 0,
	  "show these fields, in this order", "FIELD,..." },
	{ "sort", '\0', POPT_ARG_STRING, &sort, 0,
	  "list in the order of these fields, -FIELD downwards", "FIELD,..." },
	{ "where", '\0', POPT_ARG_ARGV, &where, 0,
	  "list what fits, e.g. 'type=queue'; may be repeated", "CONDITION" },
	{ "secrets", 0, POPT_ARG_NONE, &secrets, 0,
	  "export what is kept of secrets: hashes, ciphertext", NULL },
	{ "secrets-to", '\0', POPT_ARG_STRING, &secrets_to, 0,
	  "write secrets that are made to a new FILE", "FILE" },
	{ "limit", 0, POPT_ARG_INT, &limit, 0, "list or log N lines at most",
	  "N" },
	{ "since", 0, POPT_ARG_STRING, &since, 0,
	  "log what changed at TIME or later (2027-01-31T18:00Z, 2h ago: 2h)",
	  "TIME" },
	{ "until", 0, POPT_ARG_STRING, &until, 0,
	  "log what changed before TIME", "TIME" },
	{ "who", 0, POPT_ARG_STRING, &who, 0, "log what NAME changed", "NAME" },
	{ "prune", 0, POPT_ARG_NONE, &prune, 0,
	  "apply: remove what the file lacks", NULL },
	{ "all-domains", 0, POPT_ARG_NONE, &all_domains, 0,
	  "... in domains that the file does not name, too", NULL },
	{ "partial", 0, POPT_ARG_NONE, &partial, 0,
	  "apply: take what is right, see --rejects", NULL },
	{ "rejects", 0, POPT_ARG_STRING, &rejects, 0,
	  "... and write what is wrong here", "FILE" },
	POPT_TABLEEND
};

/* Unlike a string, a list of popt's is ours to free. */
static void
free_list(const char ***list)
{
	for (size_t i = 0; *list && (*list)[i]; i++)
		free((void *)(uintptr_t)(*list)[i]);
	free(*list);
	*list = NULL;
}

static int
run(int argc, const char **argv, struct verr *e)
{
	struct ext_options o = { .domain = domain,
				 .cascade = cascade,
				 .dry_run = dry_run,
				 .fix = fix,
				 .fields = fields,
				 .sort = sort,
				 .where = where,
				 .secrets = secrets,
				 .secrets_to = secrets_to,
				 .since = since,
				 .until = until,
				 .who = who,
				 .limit = limit,
				 .prune = prune,
				 .all_domains = all_domains,
				 .partial = partial,
				 .rejects = rejects,
				 .argc = arguments,
				 .argv = argument };
	int rc = out_format_from_options(&o.format, e);

	if (rc == 0 && limit < 0)
		rc = verr_set(e, VERR_USAGE, "--limit: '%d' is negative",
			      limit);
	if (rc == 0)
		rc = ext_run(&o, argc, argv, e);
	free_list(&where);
	return rc;
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
		.more_help = ext_help,
		.formats = true,
	};

	arguments = argc;
	argument = (char **)argv;
	return opt_main(argc, argv, &program);
}
