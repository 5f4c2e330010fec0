/* What a command shows. */
#include <stdio.h>

#include "extcommand.h"

/* Each number of the range and its secret. */
static void
made_of_range(const struct ext_command *c, struct out *out)
{
	const struct ext_range *r = c->range;
	struct entity_key key = c->key;
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < r->n; i++) {
		if (!*r->names[i])
			continue;
		snprintf(key.name, sizeof(key.name), "%s", r->names[i]);
		buf_clear(&text);
		entity_key_format(&text, c->entity, &key);
		out_row(out, (const char *const[]){ text.data, r->secrets[i] });
	}
	buf_release(&text);
}

int
ext_print_made(const struct ext_command *c, struct verr *e)
{
	const struct out_column columns[] = {
		{ c->entity->name, OUT_TEXT },
		{ c->made_name, OUT_TEXT },
	};
	struct out *out;

	if (!c->made && !(c->range && c->range->random))
		return 0;
	out = out_begin(stdout, c->options->format, columns, 2, e);
	if (!out)
		return -1;
	if (c->range && c->range->random)
		made_of_range(c, out);
	else
		out_row(out, (const char *const[]){ c->key_text, c->made });
	return out_end(out, e);
}
