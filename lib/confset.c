#include "confset.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "utf8.h"

#define DEFAULT_FILE  "/etc/voip/voip.conf"
#define FILE_SIZE_MAX ((size_t)1 << 20)

void
conf_set_release(struct conf_set *set)
{
	struct conf_entry *entry;

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

const struct conf_row *
conf_set_row(const char *name, char *key, size_t size)
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

const struct conf_entry *
conf_set_find(const struct conf_set *set, const struct conf_row *row,
	      const char *key)
{
	for (const struct conf_entry *x = set->entries; x; x = x->next)
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

int
conf_set_add(struct conf_set *set, const char *name, const char *text,
	     enum conf_source source, unsigned line, struct verr *e)
{
	char key[128];
	const struct conf_row *row = conf_set_row(name, key, sizeof(key));
	struct conf_entry *entry;
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
	return conf_set_add(set, name, equals + 1, CONF_SOURCE_FILE, number, e);
}

/* Whether reading goes on in spite of it. */
static bool
forgive(struct conf_set *set, struct verr *e)
{
	if (!set->fault)
		return false;
	if (!set->fault->kind)
		*set->fault = *e;
	*e = (struct verr)VERR_INIT;
	return true;
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

			verr_set(e, cause.kind, "%s:%u: %s", set->file, line,
				 cause.msg);
			if (!forgive(set, e))
				return -1;
		}
		p = stop + 1;
	}
	return 0;
}

static bool
has_secret(const struct conf_set *set)
{
	for (const struct conf_entry *x = set->entries; x; x = x->next)
		if (x->row->type == CONF_SECRET && *x->text)
			return true;
	return false;
}

int
conf_set_read(struct conf_set *set, const char *path, struct verr *e)
{
	struct buf b = BUF_INIT;
	struct stat st;
	int fd, rc = -1;

	fd = open(path ? path : DEFAULT_FILE, O_RDONLY | O_CLOEXEC);
	if (fd == -1 && !path && errno == ENOENT)
		return 0;
	if (!path)
		path = DEFAULT_FILE;
	if (fd == -1) {
		bool denied = errno == EACCES;

		verr_sys(e, VERR_CONFIG, "cannot read '%s'", path);
		if (denied)
			verr_add(e, "\nhint: only its owner and group may; "
				    "--config or VOIP_CONFIG names another");
		return forgive(set, e) ? 0 : -1;
	}
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
		rc = forgive(set, e) ? 0 : -1;
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

/* --- the environment -------------------------------------------------- */

void
conf_set_variable(const char *name, char *out, size_t size)
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

	if (conf_set_add(set, name, text, CONF_SOURCE_ENVIRONMENT, 0, &cause) ==
	    0)
		return 0;
	verr_set(e, cause.kind, "environment variable %s: %s", variable,
		 cause.msg);
	return forgive(set, e) ? 0 : -1;
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
	row = conf_set_row(variable + 5, key, sizeof(key));
	if (!row || !strchr(row->name, '*'))
		return 0;
	return load_variable(set, key, variable, equals + 1, e);
}

int
conf_set_environment(struct conf_set *set, struct verr *e)
{
	char variable[128];
	const char *text;

	for (const struct conf_row *row = conf_rows; row->name; row++) {
		conf_set_variable(row->name, variable, sizeof(variable));
		text = strchr(row->name, '*') ? NULL : getenv(variable);
		if (text && load_variable(set, row->name, variable, text, e))
			return -1;
	}
	for (char **p = environ; p && *p; p++)
		if (load_pattern_variable(set, *p, e) == -1)
			return -1;
	return 0;
}
