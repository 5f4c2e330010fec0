/*
 * opt: one command line for every program.
 *
 * Layer text.  A program lists its options in a popt table, its commands in a
 * table of `struct opt_command`, and describes itself in `struct
 * opt_program`.  opt_main() parses, loads the settings (conf), sets up the
 * log, answers --help, --version and --show-config, checks argument counts,
 * runs the command, flushes standard output, and turns the error into one
 * message on standard error and an exit status.  A message of several lines
 * is printed as it is ("...\nhint: ...").
 *
 * Options may stand before, between and after the arguments; after "--" there
 * are only arguments.  Common options: -h/--help, -V/--version, --config FILE,
 * --set NAME=VALUE (repeatable), --show-config; and -f/--format FORMAT when
 * `formats` is true.
 */
#ifndef OPT_H
#define OPT_H

#include <popt.h>
#include <stdbool.h>

#include "buf.h"
#include "verr.h"

struct opt_command {
	const char *name;
	const char *args;    /* as in the manual's synopsis, e.g. "ROLE" */
	const char *summary; /* one line for --help */
	int min_args;
	int max_args; /* -1: no limit */
	int (*run)(int argc, const char **argv, struct verr *e);
};

struct opt_program {
	const char *args;    /* for usage; NULL: "COMMAND [ARGUMENT...]" */
	const char *summary; /* one line under the usage line of --help */
	/*
	 * May be NULL.  What popt allocates for POPT_ARG_STRING belongs to
	 * opt_main(), which frees it when the command has returned.
	 */
	const struct poptOption *options;
	const struct opt_command
		*commands; /* may be NULL; ends with a NULL name */
	/*
	 * Runs when the first argument is no command of the table, or there is
	 * none; argv is then all arguments.  NULL: that is a usage error.
	 */
	int (*run)(int argc, const char **argv, struct verr *e);
	/* Whether the options that were given suit `command`, of the table,
	 * which runs next; may be NULL. */
	int (*suits)(const char *command, struct verr *e);
	void (*more_help)(struct buf *b); /* after the options; may be NULL */
	bool formats; /* takes --format, see out_format_from_options() */
	/* Words that --format takes besides those of out.h, separated by
	 * spaces; may be NULL. */
	const char *more_formats;
	bool no_conf; /* do not load the settings */
};

/* Parse and run.  Returns what main() must return. */
int opt_main(int argc, const char **argv, const struct opt_program *program);

/* Report an error that is not the last one; as the last one is. */
void opt_complain(const struct verr *e);

/* The word given with --format, or NULL. */
const char *opt_format_word(void);

#endif
