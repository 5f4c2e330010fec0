#include "cdrcompose.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "out.h"

/* Where a source is looked for: what stands before its name. */
static const char *const places[] = { "first:", "last:", "/" };

enum place { FIRST, LAST, TOP, VARIABLES };

/* The first source of a field: its place, and its name there. */
static enum place
place_of(enum cdr_field f, const char **name, size_t *len)
{
	const char *source = cdr_fields[f].sources;
	size_t i, n = 0;

	for (i = 0; i < VARIABLES; i++) {
		n = strlen(places[i]);
		if (strncmp(source, places[i], n) == 0)
			break;
	}
	if (i < VARIABLES)
		source += n;
	*name = source;
	*len = strcspn(source, " ");
	return (enum place)i;
}

static void
add(struct buf *out, const char *name, size_t len, const char *value)
{
	if (out->len && out->data[out->len - 1] != '{')
		buf_putc(out, ',');
	out_json_string(out, name, len);
	buf_putc(out, ':');
	out_json_string(out, value, strlen(value));
}

static void
add_place(struct buf *out, enum place place, const char *const *values)
{
	const char *name;
	size_t len;

	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++)
		if (values[f] && *cdr_fields[f].sources &&
		    place_of(f, &name, &len) == place)
			add(out, name, len, values[f]);
}

static bool
is(const char *value, const char *word)
{
	return value && strcmp(value, word) == 0;
}

/* What no column says as it was. */
static void
add_computed(struct buf *out, const char *const *values)
{
	bool made = is(values[CDR_CHANNEL_DIRECTION], "outbound");

	add(out, "direction", 9, made ? "outbound" : "inbound");
	/* The callee ended what was never bridged: by refusing it. */
	if (is(values[CDR_HANGUP_BY], "callee") && !made &&
	    !values[CDR_BRIDGE_TIME])
		add(out, "originate_failed_cause", 22, "CALL_REJECTED");
}

void
cdr_compose(struct buf *out, const char *const values[CDR_FIELD_COUNT])
{
	buf_putc(out, '{');
	add_place(out, TOP, values);
	buf_puts(out, out->data[out->len - 1] == '{' ? "\"variables\":{"
						     : ",\"variables\":{");
	add_place(out, VARIABLES, values);
	add_computed(out, values);
	buf_puts(out, "},\"callflow\":[{\"caller_profile\":{");
	add_place(out, FIRST, values);
	buf_puts(out, "}},{\"caller_profile\":{");
	add_place(out, LAST, values);
	buf_puts(out, "}}]}");
}

/* --- the other way ---------------------------------------------------- */

/* "2026-11-21 02:20:26.197174+00", as cdr_parse() has it. */
static int64_t
microseconds(const char *text)
{
	struct tm tm = { 0 };
	int us = 0;

	if (sscanf(text, "%d-%d-%d %d:%d:%d.%d", &tm.tm_year, &tm.tm_mon,
		   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us) != 7)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000000 + us;
}

static bool
is_same(enum cdr_field f, const char *parsed, const char *value)
{
	if (!parsed || !value)
		return !parsed && !value;
	switch (cdr_fields[f].type) {
	case CDR_TYPE_UTIME:
		return microseconds(parsed) == strtoll(value, NULL, 10);
	case CDR_TYPE_TIME:
		return microseconds(parsed) ==
		       strtoll(value, NULL, 10) * 1000000;
	case CDR_TYPE_INT:
		return strtoll(parsed, NULL, 10) == strtoll(value, NULL, 10);
	case CDR_TYPE_DECIMAL:
		/* numeric(5,2) rounds */
		return strtod(parsed, NULL) - strtod(value, NULL) < 0.006 &&
		       strtod(value, NULL) - strtod(parsed, NULL) < 0.006;
	case CDR_TYPE_BOOL:
		return true;
	case CDR_TYPE_TEXT:
	case CDR_TYPE_KEY:
	case CDR_TYPE_NAME:
		break;
	}
	return strcmp(parsed, value) == 0;
}

const char *
cdr_compose_check(struct cdr *c, const char *body, size_t len,
		  const char *const values[CDR_FIELD_COUNT])
{
	struct verr ignored = VERR_INIT;

	if (cdr_parse(c, body, len, &ignored) == -1)
		return "";
	for (enum cdr_field f = 0; f < CDR_FIELD_COUNT; f++)
		if (!is_same(f, c->value[f], values[f]))
			return cdr_fields[f].column;
	return NULL;
}
