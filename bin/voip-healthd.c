/* voip-healthd: is this node well?  The probes of voip-health. */

#include <stdio.h>
#include <string.h>

#include "health.h"
#include "opt.h"
#include "service.h"

static char *role;
static char *simulated;
static bool nagios;
static int nagios_status; /* of the plugin: 0, 1 or 2 */

static int
cmd_status(int argc, const char **argv, struct verr *e)
{
	enum out_format format = OUT_TABLE;
	struct health h;
	struct verdict v;

	(void)argc;
	(void)argv;
	if (role)
		return verr_set(e, VERR_USAGE, "--role is for check");
	nagios = opt_format_word() && strcmp(opt_format_word(), "nagios") == 0;
	if ((!nagios && out_format_from_options(&format, e) == -1) ||
	    health_probe_all(&h, e) == -1 ||
	    (simulated && health_simulate(&h, simulated, e) == -1))
		return -1;
	if (nagios)
		return health_print_nagios(&h, &nagios_status, e);
	if (health_print(&h, stdout, format, e) == -1)
		return -1;
	if (format == OUT_TABLE)
		health_print_remedies(&h);
	health_judge(&h, &v);
	if ((simulated || v.held) && format == OUT_TABLE)
		health_print_outcome(&h);
	if (v.fit && !v.no_database)
		return 0;
	return verr_set(e, VERR_NOTFOUND, "%s: %s", v.fit ? "held" : "unfit",
			v.cause);
}

/* It is here for --help: voip-health does it before it becomes this. */
static int
cmd_check(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return verr_set(e, VERR_USAGE,
			"check is done by voip-health\n"
			"hint: voip-health check");
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
	{ "role", '\0', POPT_ARG_STRING, &role, 0,
	  "check: whether it is a writable primary with the address",
	  "primary" },
	{ "simulate", '\0', POPT_ARG_STRING, &simulated, 0,
	  "status: as if a probe had that state", "PROBE=STATE" },
	POPT_TABLEEND
};
/* clang-format on */

static const struct opt_command commands[] = {
	{ "check", "", "whether the node is fit, as the service said last", 0,
	  0, cmd_check },
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
		.summary =
			"Probe this node: database, services, machine, peer.",
		.options = options,
		.commands = commands,
		.run = run,
		.formats = true,
		.more_formats = "nagios",
	};
	int status = opt_main(argc, argv, &program);

	if (!nagios)
		return status;
	/* 3: unknown */
	return status == 0 ? nagios_status : 3;
}
