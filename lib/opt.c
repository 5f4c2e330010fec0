#include "opt.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "conf.h"
#include "confvalue.h"
#include "log.h"
#include "out.h"
#include "utf8.h"

/* Beyond what programs use as values of their options. */
enum {
	OPT_HELP = 0x10000,
	OPT_VERSION,
	OPT_CONFIG,
	OPT_SET,
	OPT_SHOW_CONFIG,
	OPT_FORMAT,
	OPT_STRING, /* the first of the program's own string options */
};

/* clang-format off */
static const struct poptOption common_options[] = {
	{ "help", 'h', POPT_ARG_NONE, NULL, OPT_HELP,
	  "print this help and exit", NULL },
	{ "version", 'V', POPT_ARG_NONE, NULL, OPT_VERSION,
	  "print the version and exit", NULL },
	POPT_TABLEEND
};

static const struct poptOption conf_options[] = {
	{ "config", '\0', POPT_ARG_STRING, NULL, OPT_CONFIG,
	  "read the settings from FILE, see voip.conf(5)", "FILE" },
	{ "set", '\0', POPT_ARG_STRING, NULL, OPT_SET,
	  "set one setting, before environment and file", "NAME=VALUE" },
	{ "show-config", '\0', POPT_ARG_NONE, NULL, OPT_SHOW_CONFIG,
	  "print the settings with their origin and exit", NULL },
	POPT_TABLEEND
};

static const struct poptOption format_options[] = {
	{ "format", 'f', POPT_ARG_STRING, NULL, OPT_FORMAT,
	  "print table, tsv, csv, json or jsonl", "FORMAT" },
	POPT_TABLEEND
};
/* clang-format on */

static const char *format_word;

const char *
opt_format_word(void)
{
	return format_word;
}

/* The options of one run: the program's own and ours, in one sorted table. */
struct options {
	struct poptOption *table;
	char **given; /* by place in the table: what popt allocated */
	size_t count;
	char *config;
	char *format;
	char format_help[80];
	bool help;
	bool version;
	bool show_config;
};

static bool
is_end(const struct poptOption *o)
{
	return !o->longName && !o->shortName && !o->arg;
}

static size_t
count_options(const struct poptOption *o)
{
	size_t n = 0;

	while (o && !is_end(&o[n]))
		n++;
	return n;
}

static void
append(struct options *o, const struct poptOption *more)
{
	size_t n = count_options(more);

	if (n)
		memcpy(&o->table[o->count], more, n * sizeof(*more));
	o->count += n;
}

/* Callbacks and included tables have no name and stay in front. */
static int
by_name(const void *a, const void *b)
{
	const struct poptOption *x = a, *y = b;
	char short_x[2] = { x->shortName }, short_y[2] = { y->shortName };

	return strcmp(x->longName ? x->longName : short_x,
		      y->longName ? y->longName : short_y);
}

static int
options_init(struct options *o, const struct opt_program *program,
	     struct verr *e)
{
	size_t room = count_options(program->options) +
		      count_options(common_options) +
		      count_options(conf_options) +
		      count_options(format_options) + 1;

	o->table = calloc(room, sizeof(*o->table));
	o->given = calloc(room, sizeof(*o->given));
	if (!o->table || !o->given)
		return verr_set(e, VERR_RETRY, "out of memory for options");
	append(o, program->options);
	append(o, common_options);
	if (!program->no_conf)
		append(o, conf_options);
	if (program->formats)
		append(o, format_options);
	qsort(o->table, o->count, sizeof(*o->table), by_name);
	for (size_t i = 0; i < o->count; i++) {
		struct poptOption *x = &o->table[i];

		if (x->val == OPT_FORMAT && program->more_formats) {
			snprintf(o->format_help, sizeof(o->format_help),
				 "print table, tsv, csv, json, jsonl or %s",
				 program->more_formats);
			x->descrip = o->format_help;
		}
		if ((x->argInfo & POPT_ARG_MASK) == POPT_ARG_STRING && x->arg)
			x->val = OPT_STRING + (int)i;
	}
	return 0;
}

static void
options_release(struct options *o)
{
	for (size_t i = 0; i < o->count; i++) {
		if (!o->given || !o->given[i])
			continue;
		*(char **)o->table[i].arg = NULL;
		free(o->given[i]);
	}
	free(o->table);
	free(o->given);
	free(o->config);
	free(o->format);
	conf_set_file(NULL);
	format_word = NULL;
}

/* popt has stored a copy of `text`; one given before is now nobody's. */
static void
keep_string(struct options *o, size_t i)
{
	free(o->given[i]);
	o->given[i] = *(char **)o->table[i].arg;
}

static void
replace(char **kept, char **text)
{
	free(*kept);
	*kept = *text;
	*text = NULL;
}

static int
parse_option(struct options *o, int option, char **text, struct verr *e)
{
	switch (option) {
	case OPT_HELP:
		o->help = true;
		break;
	case OPT_VERSION:
		o->version = true;
		break;
	case OPT_CONFIG:
		replace(&o->config, text);
		conf_set_file(o->config);
		break;
	case OPT_SET:
		return conf_override(*text ? *text : "", e);
	case OPT_SHOW_CONFIG:
		o->show_config = true;
		break;
	case OPT_FORMAT:
		replace(&o->format, text);
		format_word = o->format;
		break;
	default:
		if (option >= OPT_STRING)
			keep_string(o, (size_t)(option - OPT_STRING));
		break;
	}
	return 0;
}

static int
parse(struct options *o, poptContext ctx, struct verr *e)
{
	int option = -1, rc = 0;

	while (rc == 0 && !o->help && (option = poptGetNextOpt(ctx)) >= 0) {
		char *text = poptGetOptArg(ctx);

		rc = parse_option(o, option, &text, e);
		free(text);
	}
	if (rc == 0 && !o->help && option < -1)
		return verr_set(e, VERR_USAGE, "%s: %s",
				poptBadOption(ctx, POPT_BADOPTION_NOALIAS),
				poptStrerror(option));
	return rc;
}

/* --- help ------------------------------------------------------------- */

static void
print_commands(const struct opt_command *commands)
{
	int width = 0;

	for (const struct opt_command *c = commands; c->name; c++) {
		int len = (int)(strlen(c->name) + strlen(c->args) + 1);

		if (len > width)
			width = len;
	}
	printf("\nCommands:\n");
	for (const struct opt_command *c = commands; c->name; c++)
		printf("  %s %-*s  %s\n", c->name,
		       width - (int)strlen(c->name) - 1, c->args, c->summary);
}

static int
print_more(const struct opt_program *program, struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	program->more_help(&b);
	if (buf_failed(&b))
		rc = verr_set(e, VERR_RETRY, "cannot make the help text");
	else
		out_write(stdout, b.data, b.len);
	buf_release(&b);
	return rc;
}

/* popt's text is the usage line and the options; ours goes between. */
static int
print_help(const struct opt_program *program, poptContext ctx, struct verr *e)
{
	char *text = NULL, *rest;
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return verr_sys(e, VERR_RETRY, "cannot make the help text");
	poptPrintHelp(ctx, memory, 0);
	if (fclose(memory) == EOF) {
		free(text);
		return verr_sys(e, VERR_RETRY, "cannot make the help text");
	}
	rest = strchr(text, '\n');
	rest = rest ? rest + 1 : text + size;
	out_write(stdout, text, (size_t)(rest - text));
	if (program->summary)
		printf("%s\n", program->summary);
	printf("\nOptions:\n%s", rest);
	if (program->commands)
		print_commands(program->commands);
	free(text);
	return program->more_help ? print_more(program, e) : 0;
}

static const char *
usage_args(const struct opt_program *program)
{
	if (program->args)
		return program->args;
	return program->commands ? "COMMAND [ARGUMENT...]" : "";
}

/* --- commands --------------------------------------------------------- */

static int
unknown_command(const struct opt_command *commands, const char *name,
		struct verr *e)
{
	const struct opt_command *like = NULL;
	unsigned best = 3, distance;

	for (; commands->name; commands++) {
		distance = conf_value_distance(name, commands->name);
		if (distance < best) {
			best = distance;
			like = commands;
		}
	}
	if (like)
		return verr_set(e, VERR_USAGE,
				"unknown command '%s'\n"
				"hint: did you mean '%s'?",
				name, like->name);
	return verr_set(e, VERR_USAGE, "unknown command '%s'", name);
}

/* Choose the command named by the first argument and run it. */
static int
dispatch(const struct opt_program *program, const char **args, struct verr *e)
{
	const struct opt_command *c = program->commands;
	int n = 0;

	while (args && args[n])
		n++;
	for (; n && c && c->name; c++) {
		if (strcmp(c->name, args[0]) != 0)
			continue;
		if (n - 1 < c->min_args ||
		    (c->max_args >= 0 && n - 1 > c->max_args))
			return verr_set(e, VERR_USAGE,
					"wrong arguments\n"
					"hint: expected '%s%s%s'",
					c->name, *c->args ? " " : "", c->args);
		if (program->suits && program->suits(c->name, e) == -1)
			return -1;
		return c->run(n - 1, args + 1, e);
	}
	if (program->run)
		return program->run(n, args, e);
	if (n == 0)
		return verr_set(e, VERR_USAGE, "no command given");
	return unknown_command(program->commands, args[0], e);
}

static bool
is_word(const char *words, const char *word)
{
	size_t len = strlen(word), n;

	for (; words && *words; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == len && memcmp(words, word, n) == 0)
			return true;
	}
	return false;
}

static int
check_format(const struct opt_program *program, struct verr *e)
{
	enum out_format format;

	if (!format_word || is_word(program->more_formats, format_word))
		return 0;
	return out_format_from_options(&format, e);
}

static int
show_config(struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc = 0;

	conf_show(&b);
	if (buf_failed(&b))
		rc = verr_set(e, VERR_RETRY, "out of memory for the settings");
	else
		out_write(stdout, b.data, b.len);
	buf_release(&b);
	return rc;
}

static int
run(const struct opt_program *program, struct options *o, poptContext ctx,
    struct verr *e)
{
	if (parse(o, ctx, e) == -1)
		return -1;
	if (o->help)
		return print_help(program, ctx, e);
	if (o->version) {
		printf("%s " VERSION "\n", program_invocation_short_name);
		return 0;
	}
	if (check_format(program, e) == -1)
		return -1;
	if (!program->no_conf && conf_load(e) == -1)
		return -1;
	if (o->show_config)
		return show_config(e);
	return dispatch(program, poptGetArgs(ctx), e);
}

/* One message, one write; what came from outside cannot move the cursor. */
void
opt_complain(const struct verr *e)
{
	const char *p = e->msg;
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s: ", program_invocation_short_name);
	for (size_t n; *p; p += n + (p[n] == '\n')) {
		n = strcspn(p, "\n");
		utf8_escape(&b, p, n);
		buf_putc(&b, '\n');
	}
	if (e->kind == VERR_USAGE && !strchr(e->msg, '\n'))
		buf_printf(&b, "hint: '%s --help' shows the command line\n",
			   program_invocation_short_name);
	log_status(NULL);
	fputs(buf_failed(&b) ? e->msg : b.data, stderr);
	buf_release(&b);
}

int
opt_main(int argc, const char **argv, const struct opt_program *program)
{
	struct options o = { 0 };
	struct verr e = VERR_INIT;
	poptContext ctx = NULL;

	assert(program->commands || program->run);
	if (options_init(&o, program, &e) == -1)
		goto out;
	ctx = poptGetContext(program_invocation_short_name, argc, argv, o.table,
			     0);
	if (!ctx) {
		verr_set(&e, VERR_RETRY, "out of memory for options");
		goto out;
	}
	poptSetOtherOptionHelp(ctx, usage_args(program));
	run(program, &o, ctx, &e);

out:
	if (!out_flush(stdout) && e.kind == VERR_NONE)
		verr_sys(&e, VERR_SYSTEM, "cannot write to standard output");
	if (e.kind != VERR_NONE)
		opt_complain(&e);
	if (ctx)
		poptFreeContext(ctx);
	options_release(&o);
	return verr_exit(&e);
}
