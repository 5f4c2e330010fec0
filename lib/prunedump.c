#include "prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "buf.h"
#include "conf.h"
#include "progress.h"

/* As JSON has them; a number of any length is one. */
static const char columns_sql[] =
	"select a.attname, case when t.typcategory = 'N' then 'n'"
	" when t.typcategory = 'B' then 'b' end from pg_attribute as a"
	" join pg_type as t on t.oid = a.atttypid"
	" where a.attrelid = to_regclass('voip.' || $1::text)"
	" and a.attnum > 0 and not a.attisdropped order by a.attnum";

struct dump {
	struct out *out;
	int columns;
	struct progress progress;
};

static ssize_t
write_gz(void *cookie, const char *data, size_t len)
{
	int n = gzwrite(cookie, data, (unsigned)len);

	return n > 0 ? n : 0;
}

static int
on_row(const char *const *values, int n, void *arg, struct verr *e)
{
	struct dump *d = arg;

	if (n != d->columns)
		return verr_set(e, VERR_BUG, "%d columns and not %d", n,
				d->columns);
	out_row(d->out, values);
	progress_add(&d->progress, 1);
	return 0;
}

static int
copy_rows(struct prune *p, FILE *file, const char *table, int64_t rows,
	  enum out_format format, struct verr *e)
{
	struct out_column columns[DB_COPY_COLUMNS];
	struct db_result *r = NULL;
	struct dump d = { .out = NULL };
	struct buf sql = BUF_INIT;
	int rc = -1;

	if (db_query(p->db, &r, columns_sql, 1, &DB_TEXT(table), e) == -1)
		return -1;
	d.columns = db_rows(r);
	for (int i = 0; i < d.columns && i < DB_COPY_COLUMNS; i++) {
		const char *type = db_value(r, i, 1);

		columns[i].name = db_value(r, i, 0);
		columns[i].type = !type          ? OUT_TEXT
				  : *type == 'n' ? OUT_NUMBER
						 : OUT_BOOL;
	}
	/* the name is the one that our own query found by its form */
	buf_printf(&sql, "copy voip.%s to stdout", table);
	if (buf_failed(&sql) || d.columns > DB_COPY_COLUMNS)
		verr_set(e, VERR_SYSTEM, "'%s' is too much", table);
	else
		d.out = out_begin(file, format, columns, (size_t)d.columns, e);
	if (d.out) {
		progress_begin(&d.progress, "dump", "rows",
			       rows > 0 ? (uint64_t)rows : 0);
		rc = db_copy_out(p->db, sql.data, on_row, &d, e);
		progress_end(&d.progress);
		if (rc == 0)
			rc = out_end(d.out, e);
		else
			out_end(d.out, &(struct verr){ VERR_NONE, "" });
	}
	buf_release(&sql);
	db_result_free(r);
	return rc;
}

/* What is at `fd`, which stays open, when it returns 0 is on the disk. */
static int
write_file(struct prune *p, int fd, const char *table, int64_t rows,
	   enum out_format format, struct verr *e)
{
	const cookie_io_functions_t io = { .write = write_gz };
	int copy = dup(fd), rc;
	gzFile gz = copy == -1 ? NULL : gzdopen(copy, "wb");
	FILE *file;

	if (!gz) {
		if (copy != -1)
			close(copy);
		return verr_set(e, VERR_RETRY, "cannot compress: no memory");
	}
	file = fopencookie(gz, "w", io);
	if (!file) {
		gzclose(gz);
		return verr_sys(e, VERR_RETRY, "cannot compress");
	}
	rc = copy_rows(p, file, table, rows, format, e);
	if (fclose(file) != 0 && rc == 0)
		rc = verr_sys(e, VERR_RETRY, "cannot write");
	errno = 0;
	if (gzclose(gz) != Z_OK && rc == 0)
		rc = verr_sys(e, VERR_RETRY, "cannot write");
	if (rc == 0 && fsync(fd) == -1)
		rc = verr_sys(e, VERR_RETRY, "cannot write");
	return rc;
}

/* Never over another: a month whose late legs came after its dump has two. */
static int
publish(int folder, const char *temporary, const char *part,
	const char *extension, struct verr *e)
{
	char name[128];

	for (int i = 1; i < 1000; i++) {
		char number[8] = "";

		if (i > 1)
			snprintf(number, sizeof(number), ".%d", i);
		snprintf(name, sizeof(name), "%s%s.%s.gz", part, number,
			 extension);
		if (renameat2(folder, temporary, folder, name,
			      RENAME_NOREPLACE) == 0)
			return fsync(folder) == 0
				       ? 0
				       : verr_sys(e, VERR_RETRY,
						  "cannot write '%s'", name);
		if (errno != EEXIST)
			break;
	}
	return verr_sys(e, VERR_RETRY, "cannot write '%s'", name);
}

static int
dump_into(struct prune *p, int folder, const char *table, int64_t rows,
	  struct verr *e)
{
	const char *extension = conf_str("prune_dump_format");
	const char *part = table + strlen("old_");
	char temporary[128];
	int fd, rc;

	/* a partition's name is far shorter, NAMEDATALEN */
	snprintf(temporary, sizeof(temporary), ".%.100s.tmp", part);
	unlinkat(folder, temporary, 0);
	fd = openat(folder, temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot create '%s'",
				temporary);
	rc = write_file(p, fd, table, rows,
			strcmp(extension, "csv") == 0 ? OUT_CSV : OUT_JSONL, e);
	close(fd);
	if (rc == 0)
		rc = publish(folder, temporary, part, extension, e);
	if (rc == -1)
		unlinkat(folder, temporary, 0);
	return rc;
}

int
prune_dump(struct prune *p, const char *table, int64_t rows, struct verr *e)
{
	const char *path = conf_str("prune_dump_dir");
	int folder, rc;

	if (!*path)
		return 0;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder == -1)
		return verr_sys(e, VERR_CONFIG, "cannot dump into '%s'", path);
	rc = dump_into(p, folder, table, rows, e);
	close(folder);
	return rc == -1 ? verr_wrap(e, "dump into '%s'", path) : 0;
}
