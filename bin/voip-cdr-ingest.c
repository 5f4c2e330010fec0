/* voip-cdr-ingest: take CDRs and make them durable. */

#include <stdio.h>
#include <unistd.h>

#include "cdrfilter.h"
#include "cdrimport.h"
#include "conf.h"
#include "intake.h"
#include "log.h"
#include "opt.h"
#include "out.h"
#include "service.h"

static struct service_face face;

static const struct poptOption options[] = { SERVICE_OPTIONS(face),
					     POPT_TABLEEND };

static const struct out_column columns[] = {
	{ "file", OUT_TEXT },   { "record", OUT_NUMBER }, { "uuid", OUT_TEXT },
	{ "status", OUT_TEXT }, { "reason", OUT_TEXT },
};

static void
print_row(const struct cdrfilter_row *row, void *arg)
{
	char number[24];

	snprintf(number, sizeof(number), "%zu", row->number);
	out_row(arg, (const char *const[]){ row->file, number, row->uuid,
					    row->status, row->reason });
}

static int
filter(int argc, const char **argv, struct verr *e)
{
	enum out_format format;
	struct out *out;
	int rc;

	if (argc == 0 && isatty(STDIN_FILENO))
		return verr_set(e, VERR_USAGE,
				"nothing to do: no socket, no file, no records "
				"on standard input\n"
				"hint: give files, or --listen to serve");
	if (out_format_from_options(&format, e) == -1)
		return -1;
	out = out_begin(stdout, format, columns,
			sizeof(columns) / sizeof(columns[0]), e);
	if (!out)
		return -1;
	rc = cdrfilter_run(argc, argv, print_row, out, e);
	return out_end(out, e) == -1 ? -1 : rc;
}

static int
start(struct loop *loop, void **arg, struct verr *e)
{
	*arg = intake_new(loop, e);
	return *arg ? 0 : -1;
}

static void
reload(void *arg)
{
	intake_reload(arg);
}

static bool
busy(void *arg)
{
	return intake_busy(arg);
}

static void
stop(void *arg)
{
	intake_free(arg);
}

static int
run(int argc, const char **argv, struct verr *e)
{
	static const struct service service = {
		.routes = intake_routes,
		.credentials_setting = "cdr_credentials",
		.listen_setting = "cdr_listen",
		.start = start,
		.reload = reload,
		.busy = busy,
		.stop = stop,
		.filter = filter,
	};

	face.filter = argc > 0;
	return service_run(&service, &face, argc, argv, e);
}

static void
progress(size_t drained)
{
	log_info("%zu drained", drained);
}

static int
cmd_drain(int argc, const char **argv, struct verr *e)
{
	size_t drained;
	int rc;

	(void)argc;
	(void)argv;
	rc = intake_drain(&drained, out_is_terminal(stderr) ? progress : NULL,
			  e);
	/* Whoever has the lock does the work: that is no failure of ours. */
	if (rc == -1 && e->kind == VERR_CONFLICT) {
		log_info("%s", e->msg);
		*e = VERR_INIT;
		return 0;
	}
	if (rc == 0 || drained)
		printf("%zu drained\n", drained);
	return rc;
}

static int
cmd_import(int argc, const char **argv, struct verr *e)
{
	struct cdrimport_counts n;
	const char *directory = argc ? argv[0] : conf_str("cdr_import_dir");
	int rc = cdrimport_run(directory, NULL, NULL, &n, e);

	if (rc == 0 || n.imported)
		printf("%zu imported, %zu of them dead letters, %zu refused, "
		       "%zu left\n",
		       n.imported, n.dead, n.refused, n.left);
	return rc;
}

static const struct opt_command commands[] = {
	{ "drain", "", "move the spool into the database", 0, 0, cmd_drain },
	{ "import", "[DIRECTORY]", "the files that FreeSWITCH left behind", 0,
	  1, cmd_import },
	{ .name = NULL },
};

static const struct opt_program program = {
	.args = "[FILE...] | drain | import [DIRECTORY]",
	.summary = "Take CDRs from FreeSWITCH, files or a pipe, and make them "
		   "durable.",
	.options = options,
	.commands = commands,
	.run = run,
	.formats = true,
};

int
main(int argc, const char **argv)
{
	return opt_main(argc, argv, &program);
}
