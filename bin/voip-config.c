/* voip-config: write the configuration files of the peers. */
#include "kamailioconf.h"
#include "opt.h"
#include "out.h"

static int
cmd_kamailio(int argc, const char **argv, struct verr *e)
{
	struct buf text = BUF_INIT;
	int rc;

	(void)argc;
	(void)argv;
	rc = kamailioconf_write(&text, e);
	if (rc == 0)
		rc = out_verbatim(text.data, text.len, e);
	buf_release(&text);
	return rc;
}

static const struct opt_command commands[] = {
	{ "kamailio", "", "what kamailio.cfg includes", 0, 0, cmd_kamailio },
	{ .name = NULL },
};

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.summary = "Write what the peers' configuration needs to know "
			   "of the settings.",
		.commands = commands,
	};

	return opt_main(argc, argv, &program);
}
