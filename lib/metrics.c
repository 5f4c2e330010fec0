#include "metrics.h"

#include <inttypes.h>
#include <string.h>

#define METRIC_ROW(id, group, type, name, labels, help) \
	{ METRIC_GROUP_##group, METRIC_##type, name, labels, help },

static const struct {
	unsigned group;
	enum metric_type type;
	const char *name;
	const char *labels; /* reason="x",other="y" */
	const char *help;
} rows[] = { METRICS(METRIC_ROW) };

static int64_t values[METRIC_COUNT];

void
metric_add(enum metric m, int64_t n)
{
	values[m] += n;
}

void
metric_set(enum metric m, int64_t value)
{
	values[m] = value;
}

int64_t
metric_get(enum metric m)
{
	return values[m];
}

void
metric_render(struct buf *out, unsigned groups)
{
	const char *last = "";

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		if (!(rows[i].group & groups))
			continue;
		if (strcmp(rows[i].name, last) != 0) {
			last = rows[i].name;
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", last,
				   rows[i].help, last,
				   rows[i].type == METRIC_GAUGE ? "gauge"
								: "counter");
		}
		buf_puts(out, rows[i].name);
		if (*rows[i].labels)
			buf_printf(out, "{%s}", rows[i].labels);
		buf_printf(out, " %" PRId64 "\n", values[i]);
	}
}
