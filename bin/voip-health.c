/* voip-health: is this node well? */

#include <stdio.h>

#include "health.h"
#include "opt.h"
#include "service.h"

static int
probe_and_print(struct health *h, struct verr *e)
{
	enum out_format format = OUT_TABLE;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	health_probe_all(h);
	return health_print(h, stdout, format, e);
}

static int
cmd_status(int argc, const char **argv, struct verr *e)
{
	struct health h;

	(void)argc;
	(void)argv;
	return probe_and_print(&h, e);
}

static int
cmd_check(int argc, const char **argv, struct verr *e)
{
	const struct probe *fault;
	struct health h;

	(void)argc;
	(void)argv;
	health_probe_all(&h);
	fault = health_fault(&h);
	if (!fault)
		return 0;
	return verr_set(e, VERR_NOTFOUND, "unhealthy: %s: %s", fault->name,
			h.results[fault - probes].detail);
}

static const struct service service = {
	.routes = health_routes,
	.listen_setting = "health_listen",
	.start = health_start,
	.stop = health_stop,
	.filter = cmd_status,
};

static struct service_face face;

static const struct poptOption options[] = { SERVICE_OPTIONS(face),
					     POPT_TABLEEND };

static const struct opt_command commands[] = {
	{ "check", "", "status 0 when the node is well, 1 when not", 0, 0,
	  cmd_check },
	{ "status", "", "print what each probe found (default)", 0, 0,
	  cmd_status },
	{ .name = NULL },
};

static int
run(int argc, const char **argv, struct verr *e)
{
	if (argc > 0)
		return verr_set(e, VERR_USAGE, "unknown command '%s'", argv[0]);
	return service_run(&service, &face, argc, argv, e);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[COMMAND]",
		.summary = "Probe this node: database, endpoints, spool.",
		.options = options,
		.commands = commands,
		.run = run,
		.formats = true,
	};

	return opt_main(argc, argv, &program);
}
