/* What was wrong with a file: told, or written to be mended. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulk.h"
#include "csv.h"
#include "utf8.h"

/* Bytes of a record that is no record. */
enum { TEXT_MAX = 4096 };

/* --- the list --------------------------------------------------------- */

static struct bulk_error *
new_error(struct bulk *b)
{
	size_t size = b->errors_size ? b->errors_size * 2 : 64;
	struct bulk_error *errors;

	if (b->nerrors == b->errors_size) {
		errors = realloc(b->errors, size * sizeof(*errors));
		if (!errors)
			return NULL;
		b->errors = errors;
		b->errors_size = size;
	}
	return &b->errors[b->nerrors];
}

int
bulk_reject(struct bulk *b, long line, int64_t offset, size_t size,
	    struct verr *e, const char *fmt, ...)
{
	struct bulk_error *error = new_error(b);
	struct buf text = BUF_INIT;
	char *reason;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	reason = buf_detach(&text);
	if (!error || !reason) {
		free(reason);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	*error = (struct bulk_error){ line, offset, size, reason };
	b->nerrors++;
	return 0;
}

/* A message's hint often is the rule itself. */
int
bulk_reject_verr(struct bulk *b, const struct bulk_record *r, const char *what,
		 const struct verr *why, struct verr *e)
{
	const char *hint = strstr(why->msg, "\nhint: ");
	int len = hint ? (int)(hint - why->msg) : (int)strlen(why->msg);

	return bulk_reject(b, r->line, r->offset, r->size, e, "%s%s%.*s%s%s%s",
			   what ? what : "", what ? ": " : "", len, why->msg,
			   hint ? " (" : "", hint ? hint + 7 : "",
			   hint ? ")" : "");
}

void
bulk_errors_release(struct bulk *b)
{
	for (size_t i = 0; i < b->nerrors; i++)
		free(b->errors[i].reason);
	free(b->errors);
	b->errors = NULL;
	b->nerrors = b->errors_size = 0;
}

static int
by_line(const void *a, const void *b)
{
	const struct bulk_error *x = a, *y = b;

	return x->line < y->line ? -1 : x->line > y->line;
}

long
bulk_sort_errors(struct bulk *b)
{
	long lines = 0;

	if (b->nerrors)
		qsort(b->errors, b->nerrors, sizeof(*b->errors), by_line);
	for (size_t i = 0; i < b->nerrors; i++)
		lines += i == 0 || b->errors[i].line != b->errors[i - 1].line;
	return lines;
}

/* --- the file --------------------------------------------------------- */

/* All reasons of the line that begins at `i`; the place after them. */
static size_t
add_reasons(const struct bulk *b, size_t i, struct buf *reasons)
{
	long line = b->errors[i].line;
	size_t first = i;

	for (; i < b->nerrors && b->errors[i].line == line; i++)
		buf_printf(reasons, "%s%s", i > first ? "; " : "",
			   b->errors[i].reason);
	return i;
}

static void
add_reason(struct buf *out, const char *text, const char *end,
	   const char *reason)
{
	buf_add(out, text, (size_t)(end - text));
	if (end[-1] != '{')
		buf_putc(out, ',');
	buf_puts(out, "\"reason\":");
	utf8_json(out, reason, strlen(reason));
	buf_puts(out, "}\n");
}

/*
 * What is no object cannot hold a reason: it becomes the member "text".  The
 * line itself is kept where it can be: jansson rounds numbers.
 */
static void
add_json(struct buf *out, const struct buf *record, const char *reason)
{
	json_t *json = json_loadb(record->data, record->len,
				  JSON_REJECT_DUPLICATES, NULL);
	char *text = NULL;
	size_t len = record->len;

	if (json_is_object(json) && !json_object_get(json, "reason")) {
		const char *start = strchr(record->data, '{');

		add_reason(out, start, strrchr(start, '}'), reason);
	} else if (json_is_object(json)) {
		json_object_del(json, "reason");
		text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
		if (text)
			add_reason(out, text, strrchr(text, '}'), reason);
		else
			out->failed = true;
	} else {
		while (len && strchr("\r\n", record->data[len - 1]) &&
		       record->data[len - 1])
			len--;
		buf_puts(out, "{\"reason\":");
		utf8_json(out, reason, strlen(reason));
		buf_puts(out, ",\"text\":");
		utf8_json(out, record->data, len < TEXT_MAX ? len : TEXT_MAX);
		buf_puts(out, "}\n");
	}
	free(text);
	json_decref(json);
}

static bool
is_kept(const struct bulk *b, int column)
{
	return strcmp(b->names[column], "reason") != 0;
}

/*
 * What cannot be cut into fields is one, and never as many fields as the first
 * line names: it is refused until somebody has mended it.
 */
static void
add_csv_text(const struct bulk *b, struct buf *out, const struct buf *record,
	     const char *reason)
{
	struct buf text = BUF_INIT;
	int named = 0;

	for (int i = 0; i < b->nnames; i++)
		named += is_kept(b, i);
	utf8_repair(&text, record->data, record->len);
	csv_add(out, true, text.data ? text.data : "");
	csv_add(out, false, reason);
	if (named == 1)
		csv_add(out, false, "");
	buf_puts(out, "\r\n");
	out->failed = out->failed || text.failed;
	buf_release(&text);
}

static void
add_csv(const struct bulk *b, struct buf *out, struct buf *record,
	const char *reason)
{
	const char *values[BULK_COLUMNS * 2];
	struct verr ignored = VERR_INIT;
	struct buf cut = BUF_INIT;
	bool first = true;
	int n = -1;

	while (record->len && strchr("\r\n", record->data[record->len - 1]) &&
	       record->data[record->len - 1])
		record->data[--record->len] = '\0';
	buf_add(&cut, record->data, record->len);
	if (!buf_failed(&cut) && strlen(record->data) == record->len)
		n = csv_split(cut.data, values, BULK_COLUMNS * 2, &ignored);
	if (n == -1) {
		add_csv_text(b, out, record, reason);
		buf_release(&cut);
		return;
	}
	for (int i = 0; i < n; i++)
		if (i >= b->nnames || is_kept(b, i)) {
			csv_add(out, first, values[i]);
			first = false;
		}
	csv_add(out, first, reason);
	buf_puts(out, "\r\n");
	buf_release(&cut);
}

static void
add_csv_head(const struct bulk *b, struct buf *out)
{
	bool first = true;

	for (int i = 0; i < b->nnames; i++)
		if (is_kept(b, i)) {
			csv_add(out, first, b->names[i]);
			first = false;
		}
	csv_add(out, first, "reason");
	buf_puts(out, "\r\n");
}

static int
write_all(struct bulk *b, FILE *file, struct verr *e)
{
	struct buf out = BUF_INIT, record = BUF_INIT, reasons = BUF_INIT;
	int rc = 0;

	if (b->file.csv)
		add_csv_head(b, &out);
	for (size_t i = 0; rc == 0 && i < b->nerrors;) {
		const struct bulk_error *error = &b->errors[i];

		buf_clear(&record);
		buf_clear(&reasons);
		i = add_reasons(b, i, &reasons);
		/* Of what is too long, its beginning tells which line it is. */
		rc = bulk_file_fetch(&b->file, error->offset,
				     error->size > BULK_RECORD_MAX + 2
					     ? TEXT_MAX
					     : error->size,
				     &record, e);
		if (rc == 0 && b->file.csv)
			add_csv(b, &out, &record, reasons.data);
		else if (rc == 0)
			add_json(&out, &record, reasons.data);
		fwrite(out.data, 1, out.len, file);
		if (rc == 0 && (buf_failed(&out) || buf_failed(&reasons)))
			rc = verr_set(e, VERR_RETRY, "out of memory");
		buf_clear(&out);
	}
	buf_release(&out);
	buf_release(&record);
	buf_release(&reasons);
	return rc;
}

/* A device or a pipe is written to: it must not be replaced by a file. */
static bool
is_special(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Where a file cannot be made is known before all the work is done. */
int
bulk_check_rejects(const struct bulk *b, struct verr *e)
{
	const char *path = b->o->rejects, *slash = strrchr(path, '/');
	struct buf folder = BUF_INIT;
	struct stat st;
	int rc;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return verr_sys(e, VERR_SYSTEM, "cannot write '%s'", path);
	}
	buf_add(&folder, slash ? path : ".",
		slash ? (size_t)(slash - path) + 1 : 1);
	if (buf_failed(&folder))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	else if (!is_special(path) && access(folder.data, W_OK | X_OK) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot create '%s'", path);
	else
		rc = 0;
	buf_release(&folder);
	return rc;
}

static int
open_rejects(struct bulk *b, struct verr *e)
{
	struct buf *name = &b->rejects;
	const char *path = b->o->rejects;
	int fd;

	if (is_special(path)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd == -1)
			verr_sys(e, VERR_SYSTEM, "cannot write '%s'", path);
		return fd;
	}
	buf_printf(name, "%s.XXXXXX", path);
	if (buf_failed(name))
		return verr_set(e, VERR_RETRY, "out of memory");
	fd = mkostemp(name->data, O_CLOEXEC);
	if (fd == -1) {
		verr_sys(e, VERR_SYSTEM, "cannot create '%s'", path);
		buf_clear(name);
	}
	return fd;
}

/* Nobody else may read it: passwords may be in it. */
int
bulk_write_rejects(struct bulk *b, struct verr *e)
{
	FILE *file = NULL;
	int fd = open_rejects(b, e), rc = -1;

	if (fd == -1)
		return -1;
	file = fdopen(fd, "w");
	if (!file) {
		close(fd);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	if (write_all(b, file, e) == 0) {
		if (fflush(file) == EOF || ferror(file) ||
		    (b->rejects.len && fsync(fd) == -1))
			verr_sys(e, VERR_SYSTEM, "cannot write '%s'",
				 b->o->rejects);
		else
			rc = 0;
	}
	fclose(file);
	return rc;
}

int
bulk_publish_rejects(struct bulk *b, struct verr *e)
{
	if (b->rejects.len && rename(b->rejects.data, b->o->rejects) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot write '%s'",
				b->o->rejects);
	buf_clear(&b->rejects);
	return 0;
}

void
bulk_rejects_release(struct bulk *b)
{
	if (b->rejects.len)
		unlink(b->rejects.data);
	buf_release(&b->rejects);
}
