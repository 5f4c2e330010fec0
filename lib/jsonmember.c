#include "jsonmember.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

void
jsonmember_add_string(struct buf *b, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(b, ",\"%s\":", name);
	out_json_string(b, value, strlen(value));
}

void
jsonmember_add_truth(struct buf *b, const char *name, bool value)
{
	buf_printf(b, ",\"%s\":%s", name, value ? "true" : "false");
}

void
jsonmember_add_number(struct buf *b, const char *name, int64_t value)
{
	if (value >= 0)
		buf_printf(b, ",\"%s\":%" PRId64, name, value);
	else
		buf_printf(b, ",\"%s\":null", name);
}

void
jsonmember_take_string(char *to, size_t size, const json_t *object,
		       const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	snprintf(to, size, "%s", text ? text : "");
}
