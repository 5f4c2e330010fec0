/* conf-tool: the command line, the settings and the output, for their tests. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conftable.h"
#include "log.h"
#include "opt.h"
#include "out.h"

static char *word;
static int loud;

static int
cmd_get(int argc, const char **argv, struct verr *e)
{
	(void)e;
	for (int i = 0; i < argc; i++)
		printf("%s\n", conf_str(argv[i]));
	return 0;
}

static int
cmd_ms(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)e;
	printf("%lld\n", (long long)conf_ms(argv[0]));
	return 0;
}

static int
cmd_bytes(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)e;
	printf("%lld\n", (long long)conf_bytes(argv[0]));
	return 0;
}

/* What etc/voip.conf must say: each setting with its help and default. */
static int
cmd_template(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	for (const struct conf_row *row = conf_rows; row->name; row++) {
		struct buf b = BUF_INIT;

		conf_value_quote(&b, row->value);
		if (buf_failed(&b)) {
			buf_release(&b);
			return verr_set(e, VERR_RETRY, "out of memory");
		}
		printf("\n# %s\n#%s=%s\n", row->help, row->name, b.data);
		buf_release(&b);
	}
	return 0;
}

/* Each argument is a row of "name,number,flag,raw"; "-" is null. */
static int
cmd_rows(int argc, const char **argv, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "name", OUT_TEXT },
		{ "number", OUT_NUMBER },
		{ "flag", OUT_BOOL },
		{ "raw", OUT_RAW },
	};
	enum out_format format;
	struct out *o;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	o = out_begin(stdout, format, columns, 4, e);
	if (!o)
		return -1;
	for (int i = 0; i < argc; i++) {
		char *copy = strdup(argv[i]), *rest = copy;
		const char *values[4];

		for (int j = 0; j < 4; j++) {
			values[j] = strsep(&rest, "|");
			if (values[j] && strcmp(values[j], "-") == 0)
				values[j] = NULL;
		}
		out_row(o, values);
		free(copy);
	}
	return out_end(o, e);
}

static int
cmd_fail(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	return verr_set(e, (enum verr_kind)atoi(argv[0]), "%s", argv[1]);
}

static int
cmd_log(int argc, const char **argv, struct verr *e)
{
	(void)e;
	log_event(LOG_LEVEL_INFO, argv[0], "value", argv[1], "none", NULL,
		  "last", argc > 2 ? argv[2] : "", NULL);
	log_warning("%s", argv[1]);
	log_debug("%s", argv[1]);
	return 0;
}

/* Load twice, the second time with another file; the first stays if it fails.
 */
static int
cmd_reload(int argc, const char **argv, struct verr *e)
{
	int rc;

	(void)argc;
	conf_set_file(argv[0]);
	rc = conf_load(e);
	printf("%s\n", conf_str("proxy"));
	return rc;
}

static int
run(int argc, const char **argv, struct verr *e)
{
	if (argc && strcmp(argv[0], "lits") == 0)
		return verr_set(e, VERR_USAGE, "no");
	printf("word=%s loud=%d", word ? word : "", loud);
	for (int i = 0; i < argc; i++)
		printf(" [%s]", argv[i]);
	printf("\n");
	return 0;
}

static const struct poptOption options[] = {
	{ "word", 'w', POPT_ARG_STRING, &word, 0, "say WORD", "WORD" },
	{ "loud", 'l', POPT_ARG_NONE, &loud, 0, "say it loudly", NULL },
	POPT_TABLEEND
};

static const struct opt_command commands[] = {
	{ "bytes", "NAME", "print a size", 1, 1, cmd_bytes },
	{ "fail", "KIND MESSAGE", "end with an error", 2, 2, cmd_fail },
	{ "get", "NAME...", "print settings", 1, -1, cmd_get },
	{ "log", "EVENT VALUE [LAST]", "write log lines", 2, 3, cmd_log },
	{ "ms", "NAME", "print a duration", 1, 1, cmd_ms },
	{ "reload", "FILE", "load again from FILE", 1, 1, cmd_reload },
	{ "rows", "ROW...", "print rows", 0, -1, cmd_rows },
	{ "template", "", "print what etc/voip.conf holds", 0, 0,
	  cmd_template },
	{ .name = NULL },
};

/* The environment says whether arguments that are no command are welcome. */
int
main(int argc, const char **argv)
{
	struct opt_program program = {
		.summary = "Show the settings, for the tests.",
		.options = options,
		.commands = commands,
		.formats = true,
		.more_formats = "nagios",
		.run = getenv("CONF_TOOL_RUN") ? run : NULL,
	};

	return opt_main(argc, argv, &program);
}
