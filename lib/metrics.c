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

/* NAME of NAME_bucket, NAME_sum and NAME_count. */
static int
base_length(const char *name, enum metric_type type)
{
	return (int)(type == METRIC_HISTOGRAM ? strrchr(name, '_') - name
					      : (long)strlen(name));
}

static void
render_value(struct buf *out, enum metric_type type, const char *name,
	     int64_t value)
{
	size_t len = strlen(name);

	if (type == METRIC_HISTOGRAM && strcmp(name + len - 4, "_sum") == 0)
		buf_printf(out, " %" PRId64 ".%03d\n", value / 1000,
			   (int)(value % 1000));
	else
		buf_printf(out, " %" PRId64 "\n", value);
}

void
metric_render(struct buf *out, unsigned groups)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	const char *last = "";
	int last_len = 0;

	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const char *name = rows[i].name;
		int len = base_length(name, rows[i].type);

		if (!(rows[i].group & groups))
			continue;
		if (len != last_len || strncmp(name, last, (size_t)len) != 0) {
			last = name;
			last_len = len;
			buf_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", len,
				   name, rows[i].help, len, name,
				   types[rows[i].type]);
		}
		buf_puts(out, name);
		if (*rows[i].labels)
			buf_printf(out, "{%s}", rows[i].labels);
		render_value(out, rows[i].type, name, values[i]);
	}
}
