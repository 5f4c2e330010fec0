/* What a command shows. */
#include <stdio.h>

#include "extcommand.h"

static enum out_type
column_type(const struct entity_field *f)
{
	switch (f->type) {
	case ENTITY_INT:
		return OUT_NUMBER;
	case ENTITY_BOOL:
		return OUT_BOOL;
	case ENTITY_JSON:
		return OUT_RAW;
	default:
		return OUT_TEXT;
	}
}

/* People get the main fields only; machines all. */
int
ext_print_list(const struct ext_command *c, const struct db_result *r,
	       struct verr *e)
{
	const struct entity_field *f = c->entity->fields;
	bool table = c->options->format == OUT_TABLE;
	struct out_column columns[EXT_VALUES + 4];
	int places[EXT_VALUES + 4], n = 0;
	struct out *out;

	for (int i = 0; f[i].name; i++) {
		if (table && f[i].flags & ENTITY_DETAIL)
			continue;
		places[n] = i;
		columns[n].name = i ? f[i].name : c->entity->name;
		columns[n++].type = i ? column_type(&f[i]) : OUT_TEXT;
	}
	out = out_begin(stdout, c->options->format, columns, (size_t)n, e);
	if (!out)
		return -1;
	for (int row = 0; row < db_rows(r); row++) {
		const char *values[EXT_VALUES + 4];

		for (int i = 0; i < n; i++)
			values[i] = db_value(r, row, places[i]);
		out_row(out, values);
	}
	return out_end(out, e);
}

/* One row as a table of its fields. */
int
ext_print_row(const struct ext_command *c, const struct db_result *r,
	      struct verr *e)
{
	static const struct out_column columns[] = { { "field", OUT_TEXT },
						     { "value", OUT_TEXT } };
	const struct entity_field *f = c->entity->fields;
	struct out *out = out_begin(stdout, OUT_TABLE, columns, 2, e);

	if (!out)
		return -1;
	for (int i = 0; f[i].name; i++)
		out_row(out,
			(const char *const[]){ i ? f[i].name : c->entity->name,
					       db_value(r, 0, i) });
	return out_end(out, e);
}

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
