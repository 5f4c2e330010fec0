/* voip-schema: create, upgrade and show the state of the database schema. */
#include <stdio.h>

#include "opt.h"
#include "out.h"
#include "schema.h"

static const struct out_column columns[] = {
	{ "version", OUT_NUMBER },  { "name", OUT_TEXT },
	{ "state", OUT_TEXT },      { "applied_at", OUT_TEXT },
	{ "applied_by", OUT_TEXT },
};

static struct out *
begin(struct verr *e)
{
	enum out_format format;

	if (out_format_from_options(&format, e) == -1)
		return NULL;
	return out_begin(stdout, format, columns,
			 sizeof(columns) / sizeof(columns[0]), e);
}

static const char *
or_null(const char *s)
{
	return *s ? s : NULL;
}

static void
print_row(const struct schema_row *row, void *arg)
{
	char version[16];

	snprintf(version, sizeof(version), "%d", row->version);
	out_row(arg, (const char *const[]){ version, row->name,
					    schema_state_name(row->state),
					    or_null(row->applied_at),
					    or_null(row->applied_by) });
}

static int
upgrade(bool create, struct verr *e)
{
	struct out *out = begin(e);
	int rc;

	if (!out)
		return -1;
	rc = schema_upgrade(create, print_row, out, e);
	return out_end(out, e) == -1 ? -1 : rc;
}

static int
cmd_init(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return upgrade(true, e);
}

static int
cmd_upgrade(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return upgrade(false, e);
}

static int
cmd_grant(int argc, const char **argv, struct verr *e)
{
	(void)argc;
	(void)argv;
	return schema_grant(e);
}

static int
cmd_status(int argc, const char **argv, struct verr *e)
{
	struct out *out = begin(e);
	bool current = false;
	int rc;

	(void)argc;
	(void)argv;
	if (!out)
		return -1;
	rc = schema_status(&current, print_row, out, e);
	if (out_end(out, e) == -1 || rc == -1)
		return -1;
	if (!current)
		return verr_set(e, VERR_NOTFOUND,
				"the schema is not up to date\n"
				"hint: voip-schema upgrade");
	return 0;
}

static const struct opt_command commands[] = {
	{ "grant", "", "give the programs' roles their rights again", 0, 0,
	  cmd_grant },
	{ "init", "", "create roles and database, then upgrade", 0, 0,
	  cmd_init },
	{ "status", "", "list the migrations and whether they are applied", 0,
	  0, cmd_status },
	{ "upgrade", "", "apply the migrations that are not", 0, 0,
	  cmd_upgrade },
	{ .name = NULL },
};

static const struct opt_program program = {
	.summary = "Create, upgrade and show the state of the database schema.",
	.commands = commands,
	.formats = true,
};

int
main(int argc, const char **argv)
{
	return opt_main(argc, argv, &program);
}
