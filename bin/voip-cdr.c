/* voip-cdr: ask the call detail records. */

#include <stdio.h>

#include "cdrcommand.h"
#include "opt.h"
#include "out.h"

static struct cdrcommand c = { .limit = 50, .text = BUF_INIT };

static int
print_text(int rc)
{
	if (rc == 0)
		out_write(stdout, c.text.data, c.text.len);
	buf_release(&c.text);
	return rc;
}

/* clang-format off */
static const struct poptOption options[] = {
#define FILTER_OPTION(id, option, arg, type, condition, help) \
	{ option, '\0', POPT_ARG_STRING, &c.query.given[CDRQUERY_##id], 0, \
	  help, arg },
	CDRQUERY_FILTERS(FILTER_OPTION)
#undef FILTER_OPTION
	{ "after", '\0', POPT_ARG_STRING, &c.after, 0,
	  "list what follows that leg", "START_TIME,LEG_UUID" },
	{ "limit", 'l', POPT_ARG_INT, &c.limit, 0,
	  "rows of a page (default 50)", "N" },
	{ "by", 'b', POPT_ARG_STRING, &c.group, 0,
	  "stats for each hour, day (default), domain, trunk, queue, cause "
	  "or node", "GROUP" },
	{ "zone", 'z', POPT_ARG_STRING, &c.zone, 0,
	  "time zone of hours and days (default UTC)", "ZONE" },
	{ "chart", 'c', POPT_ARG_NONE, &c.chart, 0, "stats as bars", NULL },
	{ "missing", 'm', POPT_ARG_NONE, &c.missing, 0,
	  "audit prints the missing legs", NULL },
	POPT_TABLEEND
};
/* clang-format on */

static int
list(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return cdrcommand_list(&c, e);
}

static int export(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return cdrcommand_export(&c, e);
}

static int
show(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	return cdrcommand_show(&c, argv[0], e);
}

static int
raw(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	return print_text(cdrcommand_raw(&c, argv[0], e));
}

static int
stats(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return print_text(cdrcommand_stats(&c, e));
}

static int
audit(int argc, const char **argv, struct verr *e)
{
	return cdrcommand_audit(&c, argc ? argv[0] : NULL, e);
}

static int
dead(int argc, const char **argv, struct verr *e)
{
	return print_text(cdrcommand_dead(&c, argc, argv, e));
}

static const struct opt_command commands[] = {
	{ "audit", "[DIRECTORY]",
	  "is all that FreeSWITCH wrote to files somewhere?", 0, 1, audit },
	{ "dead",
	  "list | show ID | body ID | retry ID...|all | fix ID FILE | "
	  "drop ID...|all",
	  "what could not become a record, and what to do with it", 0, -1,
	  dead },
	{ "export", "", "all legs, oldest first, as csv or --format", 0, 0,
	  export },
	{ "list", "", "a page of legs, newest first", 0, 0, list },
	{ "raw", "UUID", "what FreeSWITCH sent, where it is kept", 1, 1, raw },
	{ "show", "UUID", "the legs of a call as a story", 1, 1, show },
	{ "stats", "", "attempts, answers, durations", 0, 0, stats },
	{ .name = NULL },
};

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.summary = "Ask the call detail records.",
		.options = options,
		.commands = commands,
		.formats = true,
	};

	return opt_main(argc, argv, &program);
}
