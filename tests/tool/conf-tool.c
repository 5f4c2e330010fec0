/* conf-tool: the command line, the settings and the output, for their tests. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conftable.h"
#include "log.h"
#include "opt.h"
#include "out.h"
#include "progress.h"
#include "valid.h"

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

/* The head of each paragraph of voip.conf(5). */
static int
cmd_manual(int argc, const char **argv, struct verr *e)
{
	/* clang-format off */
	static const char *const types[] = {
		[CONF_STRING] = "text",
		[CONF_SECRET] = "secret",
		[CONF_INT] = "number",
		[CONF_BOOL] = "boolean",
		[CONF_DURATION] = "duration",
		[CONF_SIZE] = "size",
		[CONF_CHOICE] = "word",
	};
	/* clang-format on */
	char min[32], max[32];

	(void)argc;
	(void)argv;
	(void)e;
	for (const struct conf_row *row = conf_rows; row->name; row++) {
		printf(".It Cm %s Ns = Ns Ar %s Pq default", row->name,
		       types[row->type]);
		if (*row->value)
			printf(" Cm %s", row->value);
		else
			printf(" empty");
		if (row->max) {
			conf_value_format(row->type, row->min, min,
					  sizeof(min));
			conf_value_format(row->type, row->max, max,
					  sizeof(max));
			printf(" , No from %s to %s", min, max);
		}
		if (row->words)
			printf(" , No of %s", row->words);
		printf("\n");
	}
	return 0;
}

/* Each argument is a row of "name|number|flag|raw"; "~" is null. */
/* Work that began long ago. */
static int
cmd_progress(int argc, const char **argv, struct verr *e)
{
	struct progress p;

	(void)argc, (void)argv, (void)e;
	progress_begin(&p, "work", "things", 10);
	p.began_ms -= 60000;
	p.shown_ms -= 60000;
	progress_add(&p, 5);
	progress_end(&p);
	return 0;
}

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
			if (values[j] && strcmp(values[j], "~") == 0)
				values[j] = NULL;
		}
		out_row(o, values);
		free(copy);
	}
	return out_end(o, e);
}

static int
cmd_json(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	return valid_json_object(argv[0], e);
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
	{ "json", "TEXT", "check a JSON object", 1, 1, cmd_json },
	{ "log", "EVENT VALUE [LAST]", "write log lines", 2, 3, cmd_log },
	{ "manual", "", "print the heads of voip.conf(5)", 0, 0, cmd_manual },
	{ "ms", "NAME", "print a duration", 1, 1, cmd_ms },
	{ "progress", "", "be at work for long", 0, 0, cmd_progress },
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
