/* voip-healthd: is this node well?  The probes of voip-health. */

#include <stdio.h>

#include "health.h"
#include "opt.h"
#include "service.h"

static char *simulated;

static int
cmd_status(int argc, const char **argv, struct verr *e)
{
	enum out_format format = OUT_TABLE;
	const struct probe *fault;
	struct health h;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == -1 ||
	    health_probe_all(&h, e) == -1 ||
	    (simulated && health_simulate(&h, simulated, e) == -1) ||
	    health_print(&h, stdout, format, e) == -1)
		return -1;
	fault = health_fault(&h);
	if (!fault)
		return 0;
	return verr_set(e, VERR_NOTFOUND, "unfit: %s: %s", fault->name,
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

/* clang-format off */
static const struct poptOption options[] = {
	SERVICE_OPTIONS(face),
	{ "simulate", '\0', POPT_ARG_STRING, &simulated, 0,
	  "status: as if a probe had that state", "PROBE=STATE" },
	POPT_TABLEEND
};
/* clang-format on */

static const struct opt_command commands[] = {
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
