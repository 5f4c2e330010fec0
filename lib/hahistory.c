#include "hahistory.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "hajournal.h"
#include "out.h"

#define LINES 1000

static const struct out_column columns[] = {
	{ "at", OUT_TEXT },   { "action", OUT_TEXT }, { "event", OUT_SEVERITY },
	{ "step", OUT_TEXT }, { "ms", OUT_NUMBER },   { "why", OUT_TEXT },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void
print_row(const char *line, void *arg)
{
	json_t *object = json_loads(line, 0, NULL), *ms;
	const char *values[COLUMNS];
	char text[24], why[1400];

	for (size_t i = 0; i < COLUMNS; i++)
		values[i] = json_string_value(
			json_object_get(object, columns[i].name));
	snprintf(why, sizeof(why), "%s", values[5] ? values[5] : "");
	for (char *at = why; (at = strchr(at, '\n'));)
		*at = ';';
	if (values[5])
		values[5] = why;
	ms = json_object_get(object, "ms");
	snprintf(text, sizeof(text), "%" PRId64,
		 (int64_t)json_integer_value(ms));
	if (ms)
		values[4] = text;
	out_row(arg, values);
	json_decref(object);
}

struct lines {
	struct buf text;
	bool one; /* array; else one each line */
};

static void
add_line(const char *line, void *arg)
{
	struct lines *l = arg;
	bool first = l->text.len == 0;

	if (l->one)
		buf_puts(&l->text, first ? "[\n" : ",\n");
	buf_puts(&l->text, line);
	if (!l->one)
		buf_putc(&l->text, '\n');
}

static int
print_lines(bool one, struct verr *e)
{
	struct lines l = { BUF_INIT, one };
	int rc = ha_journal_read(LINES, add_line, &l, e);

	if (one)
		buf_puts(&l.text, l.text.len ? "\n]\n" : "[]\n");
	if (rc == 0)
		rc = buf_failed(&l.text)
			     ? verr_set(e, VERR_RETRY, "out of memory")
			     : out_verbatim(l.text.data, l.text.len, e);
	buf_release(&l.text);
	return rc;
}

int
ha_cmd_history(int argc, const char **argv, struct verr *e)
{
	enum out_format format;
	struct out *out;
	int rc;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == -1)
		return -1;
	if (format == OUT_JSON || format == OUT_JSONL)
		return print_lines(format == OUT_JSON, e);
	out = out_begin(stdout, format, columns, COLUMNS, e);
	if (!out)
		return -1;
	rc = ha_journal_read(LINES, print_row, out, e);
	return out_end(out, e) == -1 ? -1 : rc;
}
