/* What a command shows. */
#include <stdio.h>

#include "extcommand.h"

int
ext_print_made(const struct ext_command *c, struct verr *e)
{
	const struct out_column columns[] = {
		{ c->entity->name, OUT_TEXT },
		{ c->made_name, OUT_TEXT },
	};
	struct out *out;

	if (!c->made)
		return 0;
	out = out_begin(stdout, c->options->format, columns, 2, e);
	if (!out)
		return -1;
	out_row(out, (const char *const[]){ c->key_text, c->made });
	return out_end(out, e);
}
