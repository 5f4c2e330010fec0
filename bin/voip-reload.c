/* voip-reload: bring changes of the directory to Kamailio and FreeSWITCH. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confvalue.h"
#include "opt.h"
#include "reload.h"

static int kamailio_only;
static int freeswitch_only;
static int dry_run;
static char *wait_time;

/* clang-format off */
static const struct poptOption options[] = {
	{ "dry-run", 'n', POPT_ARG_NONE, &dry_run, 0,
	  "print the commands and send none", NULL },
	{ "freeswitch-only", '\0', POPT_ARG_NONE, &freeswitch_only, 0,
	  "leave Kamailio alone", NULL },
	{ "kamailio-only", '\0', POPT_ARG_NONE, &kamailio_only, 0,
	  "leave FreeSWITCH alone", NULL },
	{ "wait", 'w', POPT_ARG_STRING, &wait_time, 0,
	  "how long to try after the last change (10s)", "TIME" },
	POPT_TABLEEND
};
/* clang-format on */

static int
parse_wait(int64_t *ms, struct verr *e)
{
	static const struct conf_row row = {
		.name = "wait",
		.type = CONF_DURATION,
		.max = INT32_MAX,
	};

	if (!wait_time || conf_value_parse(&row, wait_time, ms, e) == 0)
		return 0;
	e->kind = VERR_USAGE;
	return verr_wrap(e, "--wait");
}

static int
change_of(struct change *c, const struct entity *t, const char *text,
	  struct verr *e)
{
	struct entity_key key;

	*c = (struct change){ .op = CHANGE_UPDATE, .entity = t };
	if (entity_key_parse(&key, t, text, e) == -1) {
		e->kind = VERR_INPUT;
		return -1;
	}
	snprintf(c->table, sizeof(c->table), "%s", t->table);
	snprintf(c->domain, sizeof(c->domain), "%s", key.domain);
	snprintf(c->parent, sizeof(c->parent), "%s", key.parent);
	snprintf(c->name, sizeof(c->name), "%s", key.name);
	/* A tenant's own change names it as its domain too. */
	if (strcmp(t->name, "domain") == 0)
		snprintf(c->domain, sizeof(c->domain), "%.255s", key.name);
	return 0;
}

/* resync, or ENTITY KEY... */
static int
from_arguments(const struct reload_options *o, int argc, const char **argv,
	       struct verr *e)
{
	const struct entity *t = entity_find(argv[0]);
	struct change *changes;
	size_t n = argc > 1 ? (size_t)argc - 1 : 1;
	int rc = 0;

	if (strcmp(argv[0], "resync") == 0 ? argc > 1 : argc < 2)
		return verr_set(e, VERR_USAGE,
				"an entity and its keys, or resync alone");
	if (argc > 1 && !t)
		return verr_set(e, VERR_USAGE,
				"there is no entity '%s'\n"
				"hint: voip-ext --help lists them",
				argv[0]);
	changes = calloc(n, sizeof(*changes));
	if (!changes)
		return verr_set(e, VERR_RETRY, "out of memory");
	changes[0].op = CHANGE_RESYNC;
	for (int i = 1; i < argc && rc == 0; i++)
		rc = change_of(&changes[i - 1], t, argv[i], e);
	if (rc == 0)
		rc = reload_changes(o, changes, n, e);
	free(changes);
	return rc;
}

static int
run(int argc, const char **argv, struct verr *e)
{
	struct reload_options o = {
		.kamailio = !freeswitch_only,
		.freeswitch = !kamailio_only,
		.wait_ms = 10000,
	};
	enum out_format format = OUT_TABLE;
	int rc;

	if (kamailio_only && freeswitch_only)
		return verr_set(e, VERR_USAGE,
				"--kamailio-only and --freeswitch-only leave "
				"nobody");
	if (parse_wait(&o.wait_ms, e) == -1 ||
	    out_format_from_options(&format, e) == -1)
		return -1;
	if (dry_run) {
		o.print = out_begin(stdout, format, reload_columns, 2, e);
		if (!o.print)
			return -1;
	}
	rc = argc > 0 ? from_arguments(&o, argc, argv, e)
		      : reload_lines(&o, STDIN_FILENO, e);
	if (o.print && out_end(o.print, e) == -1)
		rc = -1;
	return rc;
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[resync | ENTITY KEY...]",
		.summary = "Bring changes of the directory to Kamailio and "
			   "FreeSWITCH.",
		.options = options,
		.run = run,
		.formats = true,
	};

	return opt_main(argc, argv, &program);
}
