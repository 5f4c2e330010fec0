#include "conf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confset.h"
#include "log.h"
#include "utf8.h"

#define OVERRIDES_MAX 64

static struct conf_set current;
static const char *chosen_file;
static char *overrides[OVERRIDES_MAX];
static size_t override_count;

/* `assignment` was checked by conf_override(). */
static int
load_override(struct conf_set *set, const char *assignment, struct verr *e)
{
	size_t len = strcspn(assignment, "=");
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)len, assignment);
	return conf_set_add(set, name, assignment + len + 1, CONF_SOURCE_OPTION,
			    0, e);
}

int
conf_override(const char *assignment, struct verr *e)
{
	const char *equals = strchr(assignment, '=');
	struct conf_set set = { 0 };
	struct verr cause = VERR_INIT;
	bool secret;
	int rc;

	if (!equals || equals == assignment || equals - assignment >= 128)
		return verr_set(e, VERR_USAGE,
				"--set expects name=value, not '%s'",
				assignment);
	rc = load_override(&set, assignment, &cause);
	secret = set.entries && set.entries->row->type == CONF_SECRET;
	conf_set_release(&set);
	if (rc == -1)
		return verr_set(e, VERR_USAGE, "--set: %s", cause.msg);
	if (secret)
		return verr_set(e, VERR_USAGE,
				"--set: '%.*s' is a secret, and the process "
				"list shows the command line\n"
				"hint: put it into the settings file or the "
				"environment",
				(int)(equals - assignment), assignment);
	if (override_count == OVERRIDES_MAX)
		return verr_set(e, VERR_USAGE, "--set: more than %d of them",
				OVERRIDES_MAX);
	overrides[override_count] = strdup(assignment);
	if (!overrides[override_count])
		return verr_set(e, VERR_RETRY, "out of memory for settings");
	override_count++;
	return 0;
}

void
conf_set_file(const char *path)
{
	chosen_file = path;
}

/* --- use -------------------------------------------------------------- */

static int64_t number_of(const char *name, enum conf_type type);

static void
apply_log(void)
{
	log_setup((enum log_level)number_of("log_level", CONF_CHOICE),
		  (enum log_format)number_of("log_format", CONF_CHOICE),
		  (enum log_target)number_of("log_target", CONF_CHOICE));
}

static int
load(struct verr *fault, struct verr *e)
{
	static bool warned;
	const char *env = getenv("VOIP_CONFIG");
	const char *path = chosen_file;
	struct conf_set set = { .fault = fault };

	if (!path && env && *env)
		path = env;
	if (conf_set_read(&set, path, e) == -1 ||
	    conf_set_environment(&set, e) == -1)
		goto fail;
	for (size_t i = 0; i < override_count; i++)
		if (load_override(&set, overrides[i], e) == -1)
			goto fail;
	set.fault = NULL;
	conf_set_release(&current);
	current = set;
	apply_log();
	if (current.exposed && !warned) {
		warned = true;
		log_warning("'%s' holds secrets and everyone can read it; "
			    "chmod o-r would mend that",
			    current.file);
	}
	return 0;

fail:
	conf_set_release(&set);
	return -1;
}

int
conf_load(struct verr *e)
{
	return load(NULL, e);
}

int
conf_load_leniently(struct verr *e)
{
	struct verr fault = VERR_INIT;

	if (load(&fault, e) == -1)
		return -1;
	if (!fault.kind)
		return 0;
	*e = fault;
	return -1;
}

static const struct conf_row *
row_of(const char *name, const struct conf_entry **entry)
{
	char key[128];
	const struct conf_row *row = conf_set_row(name, key, sizeof(key));

	assert(row && "no such setting");
	*entry = conf_set_find(&current, row, key);
	return row;
}

const char *
conf_str(const char *name)
{
	const struct conf_entry *entry;
	const struct conf_row *row = row_of(name, &entry);

	return entry ? entry->text : row->value;
}

static int64_t
number_of(const char *name, enum conf_type type)
{
	const struct conf_entry *entry;
	const struct conf_row *row = row_of(name, &entry);
	struct verr e = VERR_INIT;
	int64_t number;

	assert(row->type == type && "a setting of another type");
	if (entry)
		return entry->number;
	if (conf_value_parse(row, row->value, &number, &e) == -1)
		assert(!"a default that its own row refuses");
	return number;
}

long
conf_int(const char *name)
{
	return (long)number_of(name, CONF_INT);
}

bool
conf_bool(const char *name)
{
	return number_of(name, CONF_BOOL) != 0;
}

int64_t
conf_ms(const char *name)
{
	return number_of(name, CONF_DURATION);
}

int64_t
conf_bytes(const char *name)
{
	return number_of(name, CONF_SIZE);
}

/* --- --show-config ---------------------------------------------------- */

static void
show_origin(struct buf *out, const struct conf_entry *entry)
{
	char variable[128];

	switch (entry ? entry->source : CONF_SOURCE_DEFAULT) {
	case CONF_SOURCE_DEFAULT:
		buf_puts(out, "# default\n");
		break;
	case CONF_SOURCE_FILE:
		buf_puts(out, "# ");
		utf8_escape(out, current.file, strlen(current.file));
		buf_printf(out, ":%u\n", entry->line);
		break;
	case CONF_SOURCE_ENVIRONMENT:
		conf_set_variable(entry->key, variable, sizeof(variable));
		buf_printf(out, "# environment %s\n", variable);
		break;
	case CONF_SOURCE_OPTION:
		buf_puts(out, "# --set\n");
		break;
	}
}

/* A secret stands in a comment, so that the stars are never read as one. */
static void
show_value(struct buf *out, const struct conf_row *row, const char *name,
	   const struct conf_entry *entry)
{
	const char *text = entry ? entry->text : row->value;

	show_origin(out, entry);
	if (row->type == CONF_SECRET && *text) {
		buf_printf(out, "#%s=********\n", name);
		return;
	}
	buf_printf(out, "%s=", name);
	conf_value_quote(out, text);
	buf_putc(out, '\n');
}

/* service_postgresql_start as service.postgresql.start. */
static void
pattern_name(const struct conf_row *row, const char *key, char *out,
	     size_t size)
{
	size_t before = strcspn(row->name, "*");
	const char *after = row->name + before + 1;

	snprintf(out, size, "%.*s%.*s%s", (int)before, row->name,
		 (int)(strlen(key) - before - strlen(after)), key + before,
		 after);
}

static void
show_pattern(struct buf *out, const struct conf_row *row)
{
	bool any = false;
	char name[128];

	for (const struct conf_entry *x = current.entries; x; x = x->next) {
		if (x->row != row || conf_set_find(&current, row, x->key) != x)
			continue;
		pattern_name(row, x->key, name, sizeof(name));
		show_value(out, row, name, x);
		any = true;
	}
	if (!any)
		buf_printf(out, "# default\n#%s=\n", row->name);
}

void
conf_show(struct buf *out)
{
	for (const struct conf_row *row = conf_rows; row->name; row++) {
		if (strchr(row->name, '*'))
			show_pattern(out, row);
		else
			show_value(out, row, row->name,
				   conf_set_find(&current, row, row->name));
	}
}
