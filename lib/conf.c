#include "conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conftable.h"
#include "log.h"
#include "utf8.h"

#define DEFAULT_FILE  "/etc/voip/voip.conf"
#define FILE_SIZE_MAX ((size_t)1 << 20)
#define OVERRIDES_MAX 64

enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_OPTION };

/*
 * One value that is not the default.  For a row with `*` the key is the full
 * name in canonical form, else the row's name.
 */
struct entry {
	const struct conf_row *row;
	char *key;
	char *text;
	int64_t number;
	enum source source;
	unsigned line;
	struct entry *next;
};

/* Everything that one conf_load() has read. */
struct conf_set {
	struct entry *entries; /* the first of a key counts */
	char *file;
	bool exposed; /* everyone can read a secret in the file */
};

static struct conf_set current;
static const char *chosen_file;
static char *overrides[OVERRIDES_MAX];
static size_t override_count;

static void
set_release(struct conf_set *set)
{
	struct entry *entry;

	while ((entry = set->entries)) {
		set->entries = entry->next;
		if (entry->row->type == CONF_SECRET && entry->text)
			explicit_bzero(entry->text, strlen(entry->text));
		free(entry->text);
		free(entry->key);
		free(entry);
	}
	free(set->file);
	*set = (struct conf_set){ 0 };
}

/*
 * Names as they can stand in the environment: lower case, and `_` for what is
 * no letter or digit; so service.my-db.start and VOIP_SERVICE_MY_DB_START are
 * the same setting.
 */
static void
canonical(const char *name, char *out, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++) {
		unsigned char c = (unsigned char)name[i];

		out[i] = (char)(isalnum(c) || c == '*' ? tolower(c) : '_');
	}
	out[i] = '\0';
}

static bool
fits_pattern(const struct conf_row *row, const char *key)
{
	char pattern[64];
	size_t before, after, len = strlen(key);
	char *star;

	canonical(row->name, pattern, sizeof(pattern));
	star = strchr(pattern, '*');
	if (!star)
		return false;
	before = (size_t)(star - pattern);
	after = strlen(star + 1);
	return len > before + after && strncmp(key, pattern, before) == 0 &&
	       strcmp(key + len - after, star + 1) == 0;
}

/* The row that a name belongs to, by exact name or by pattern; or NULL. */
static const struct conf_row *
find_row(const char *name, char *key, size_t size)
{
	const struct conf_row *row;

	canonical(name, key, size);
	if (strchr(name, '*'))
		return NULL;
	row = conf_row_find(name);
	if (row)
		return row;
	for (row = conf_rows; row->name; row++)
		if (fits_pattern(row, key))
			return row;
	return NULL;
}

static const struct entry *
find_entry(const struct conf_set *set, const struct conf_row *row,
	   const char *key)
{
	for (const struct entry *x = set->entries; x; x = x->next)
		if (x->row == row && strcmp(x->key, key) == 0)
			return x;
	return NULL;
}

static int
unknown_setting(const char *name, struct verr *e)
{
	const char *like = conf_row_suggest(name);
	struct buf b = BUF_INIT;

	utf8_escape(&b, name, strlen(name));
	verr_set(e, VERR_CONFIG, "unknown setting '%.128s'\nhint: ", b.data);
	buf_release(&b);
	if (strchr(name, '*'))
		return verr_add(e, "a name of yours stands for the '*'");
	if (like)
		return verr_add(e, "did you mean '%s'?", like);
	return verr_add(e, "--show-config lists them");
}

static int
set_add(struct conf_set *set, const char *name, const char *text,
	enum source source, unsigned line, struct verr *e)
{
	char key[128];
	const struct conf_row *row = find_row(name, key, sizeof(key));
	struct entry *entry;
	int64_t number;

	if (!row)
		return unknown_setting(name, e);
	if (conf_value_parse(row, text, &number, e) == -1)
		return -1;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return verr_set(e, VERR_RETRY, "out of memory for settings");
	entry->row = row;
	entry->key = strdup(key);
	entry->text = strdup(text);
	entry->number = number;
	entry->source = source;
	entry->line = line;
	entry->next = set->entries;
	set->entries = entry;
	if (!entry->key || !entry->text)
		return verr_set(e, VERR_RETRY, "out of memory for settings");
	return 0;
}

/* --- the file --------------------------------------------------------- */

static int
read_file(int fd, struct buf *b, struct verr *e)
{
	ssize_t n;

	for (;;) {
		if (!buf_reserve(b, 4096))
			return verr_set(e, VERR_RETRY, "out of memory");
		n = read(fd, b->data + b->len, b->size - b->len - 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return verr_sys(e, VERR_CONFIG, "cannot read");
		if (n == 0)
			break;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (b->len > FILE_SIZE_MAX)
			return verr_set(e, VERR_CONFIG, "larger than 1 MiB");
	}
	return 0;
}

/* name=value with the name at the start of the line, as a shell wants it. */
static int
parse_line(struct conf_set *set, char *line, size_t len, unsigned number,
	   struct verr *e)
{
	char *equals, *name;

	if (strlen(line) != len)
		return verr_set(e, VERR_CONFIG, "a NUL byte");
	if (len && line[len - 1] == '\r')
		return verr_set(e, VERR_CONFIG,
				"the line ends with a carriage return\n"
				"hint: a Unix file has none");
	line += strspn(line, " \t");
	if (*line == '\0' || *line == '#')
		return 0;
	name = line;
	equals = strchr(line, '=');
	if (!equals || equals == line)
		return verr_set(e, VERR_CONFIG, "expected name=value");
	if (equals > line && (equals[-1] == ' ' || equals[-1] == '\t'))
		return verr_set(e, VERR_CONFIG,
				"no space may stand before '='");
	if (equals[1] == ' ' || equals[1] == '\t')
		return verr_set(e, VERR_CONFIG, "no space may stand after '='");
	*equals = '\0';
	if (conf_value_unquote(equals + 1, e) == -1)
		return -1;
	if (strncmp(name, "VOIP_", 5) == 0) {
		name += 5;
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
	}
	return set_add(set, name, equals + 1, SOURCE_FILE, number, e);
}

static int
parse_lines(struct conf_set *set, struct buf *b, struct verr *e)
{
	char *p = b->data, *end = b->data + b->len;

	for (unsigned line = 1; p < end; line++) {
		char *stop = memchr(p, '\n', (size_t)(end - p));

		if (!stop)
			stop = end;
		*stop = '\0';
		if (parse_line(set, p, (size_t)(stop - p), line, e) == -1) {
			struct verr cause = *e;

			return verr_set(e, cause.kind, "%s:%u: %s", set->file,
					line, cause.msg);
		}
		p = stop + 1;
	}
	return 0;
}

static bool
has_secret(const struct conf_set *set)
{
	for (const struct entry *x = set->entries; x; x = x->next)
		if (x->row->type == CONF_SECRET && *x->text)
			return true;
	return false;
}

static int
load_file(struct conf_set *set, struct verr *e)
{
	const char *env = getenv("VOIP_CONFIG");
	const char *path = chosen_file;
	struct buf b = BUF_INIT;
	struct stat st;
	int fd, rc = -1;

	if (!path && env && *env)
		path = env;
	fd = open(path ? path : DEFAULT_FILE, O_RDONLY | O_CLOEXEC);
	if (fd == -1 && !path && errno == ENOENT)
		return 0;
	if (!path)
		path = DEFAULT_FILE;
	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot read '%s'", path);
	set->file = strdup(path);
	if (!set->file) {
		verr_set(e, VERR_RETRY, "out of memory for settings");
		goto out;
	}
	if (fstat(fd, &st) == -1) {
		verr_sys(e, VERR_SYSTEM, "cannot stat '%s'", path);
		goto out;
	}
	if (read_file(fd, &b, e) == -1) {
		verr_wrap(e, "settings file '%s'", path);
		goto out;
	}
	if (parse_lines(set, &b, e) == -1)
		goto out;
	set->exposed = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) &&
		       has_secret(set);
	rc = 0;

out:
	if (b.len)
		explicit_bzero(b.data, b.len);
	buf_release(&b);
	close(fd);
	return rc;
}

/* --- environment and command line ------------------------------------- */

static void
environment_name(const char *name, char *out, size_t size)
{
	size_t i;

	snprintf(out, size, "VOIP_%s", name);
	for (i = 0; out[i]; i++)
		out[i] = (char)(isalnum((unsigned char)out[i])
					? toupper((unsigned char)out[i])
					: '_');
}

static int
load_variable(struct conf_set *set, const char *name, const char *variable,
	      const char *text, struct verr *e)
{
	struct verr cause = VERR_INIT;

	if (set_add(set, name, text, SOURCE_ENVIRONMENT, 0, &cause) == 0)
		return 0;
	return verr_set(e, cause.kind, "environment variable %s: %s", variable,
			cause.msg);
}

/* A variable of a row with `*`: what stands for the star is in its name. */
static int
load_pattern_variable(struct conf_set *set, const char *assignment,
		      struct verr *e)
{
	const char *equals = strchr(assignment, '=');
	char variable[128], key[128];
	const struct conf_row *row;

	if (!equals || strncmp(assignment, "VOIP_", 5) != 0 ||
	    (size_t)(equals - assignment) >= sizeof(variable))
		return 0;
	snprintf(variable, sizeof(variable), "%.*s", (int)(equals - assignment),
		 assignment);
	row = find_row(variable + 5, key, sizeof(key));
	if (!row || !strchr(row->name, '*'))
		return 0;
	return load_variable(set, key, variable, equals + 1, e);
}

static int
load_environment(struct conf_set *set, struct verr *e)
{
	char variable[128];
	const char *text;

	for (const struct conf_row *row = conf_rows; row->name; row++) {
		environment_name(row->name, variable, sizeof(variable));
		text = strchr(row->name, '*') ? NULL : getenv(variable);
		if (text && load_variable(set, row->name, variable, text, e))
			return -1;
	}
	for (char **p = environ; p && *p; p++)
		if (load_pattern_variable(set, *p, e) == -1)
			return -1;
	return 0;
}

/* `assignment` was checked by conf_override(). */
static int
load_override(struct conf_set *set, const char *assignment, struct verr *e)
{
	size_t len = strcspn(assignment, "=");
	char name[128];

	snprintf(name, sizeof(name), "%.*s", (int)len, assignment);
	return set_add(set, name, assignment + len + 1, SOURCE_OPTION, 0, e);
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
	set_release(&set);
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

int
conf_load(struct verr *e)
{
	static bool warned;
	struct conf_set set = { 0 };

	if (load_file(&set, e) == -1 || load_environment(&set, e) == -1)
		goto fail;
	for (size_t i = 0; i < override_count; i++)
		if (load_override(&set, overrides[i], e) == -1)
			goto fail;
	set_release(&current);
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
	set_release(&set);
	return -1;
}

static const struct conf_row *
row_of(const char *name, const struct entry **entry)
{
	char key[128];
	const struct conf_row *row = find_row(name, key, sizeof(key));

	assert(row && "no such setting");
	*entry = find_entry(&current, row, key);
	return row;
}

const char *
conf_str(const char *name)
{
	const struct entry *entry;
	const struct conf_row *row = row_of(name, &entry);

	return entry ? entry->text : row->value;
}

static int64_t
number_of(const char *name, enum conf_type type)
{
	const struct entry *entry;
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
show_origin(struct buf *out, const struct entry *entry)
{
	char variable[128];

	switch (entry ? entry->source : SOURCE_DEFAULT) {
	case SOURCE_DEFAULT:
		buf_puts(out, "# default\n");
		break;
	case SOURCE_FILE:
		buf_puts(out, "# ");
		utf8_escape(out, current.file, strlen(current.file));
		buf_printf(out, ":%u\n", entry->line);
		break;
	case SOURCE_ENVIRONMENT:
		environment_name(entry->key, variable, sizeof(variable));
		buf_printf(out, "# environment %s\n", variable);
		break;
	case SOURCE_OPTION:
		buf_puts(out, "# --set\n");
		break;
	}
}

/* A secret stands in a comment, so that the stars are never read as one. */
static void
show_value(struct buf *out, const struct conf_row *row, const char *name,
	   const struct entry *entry)
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

	for (const struct entry *x = current.entries; x; x = x->next) {
		if (x->row != row || find_entry(&current, row, x->key) != x)
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
				   find_entry(&current, row, row->name));
	}
}
