/* What a command shows. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

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

static bool
has_made(const struct ext_command *c)
{
	return c->nmade || (c->range && c->range->random);
}

/* To standard output without a file. */
static int
print_made(const struct ext_command *c, FILE *file, struct verr *e)
{
	struct out_column columns[1 + EXT_VALUES] = {
		{ c->entity->name, OUT_TEXT },
		{ c->made_names[0], OUT_TEXT },
	};
	const char *values[1 + EXT_VALUES] = { c->key_text, c->made[0] };
	size_t n = c->nmade > 1 ? 1 + c->nmade : 2;
	enum out_format format = c->options->format;
	struct out *out;

	for (size_t i = 1; i < c->nmade; i++) {
		columns[1 + i].name = c->made_names[i];
		columns[1 + i].type = OUT_TEXT;
		values[1 + i] = c->made[i];
	}
	out = file ? out_begin(file, format, columns, n, e)
		   : out_begin(stdout, format, columns, n, e);
	if (!out)
		return -1;
	if (c->range && c->range->random)
		made_of_range(c, out);
	else
		out_row(out, values);
	return out_end(out, e);
}

int
ext_print_made(const struct ext_command *c, struct verr *e)
{
	if (!has_made(c) || c->options->secrets_to || c->options->dry_run)
		return 0;
	return print_made(c, NULL, e);
}

/* Nobody else may have prepared the file, and it is there after a crash. */
static int
save_made(const struct ext_command *c, const char *path, struct verr *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd == -1 ? NULL : fdopen(fd, "w");
	int rc;

	if (!file) {
		verr_sys(e, VERR_SYSTEM, "cannot create '%s'", path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	rc = print_made(c, file, e);
	if (rc == -1)
		verr_wrap(e, "'%s'", path);
	if (rc == 0 && fsync(fd) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot write '%s'", path);
	if (fclose(file) == EOF && rc == 0)
		rc = verr_sys(e, VERR_SYSTEM, "cannot write '%s'", path);
	if (rc == -1)
		unlink(path);
	return rc;
}

int
ext_save_made(const struct ext_command *c, struct verr *e)
{
	const char *path = c->options->secrets_to;

	if (!path || c->options->dry_run)
		return 0;
	if (!has_made(c))
		return verr_set(e, VERR_USAGE,
				"no secret is made that '%s' could hold\n"
				"hint: password=random",
				path);
	return save_made(c, path, e);
}
