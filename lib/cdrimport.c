#include "cdrimport.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"
#include "intake.h"
#include "log.h"

#define SUFFIX ".cdr.json"

/* What was found, and what became of it. */
struct file {
	char *path;
	size_t records;
	bool failed;
	bool refused;
	bool dead;
};

struct import {
	const char *directory;
	struct file *files;
	size_t count, size;
	cdrfilter_row_fn row;
	void *arg;
	struct cdrimport_counts *counts;
};

/* --- what is there ---------------------------------------------------- */

static int
add_file(struct import *in, const char *folder, const char *name,
	 struct verr *e)
{
	struct file *more;
	char *path;

	if (in->count == in->size) {
		in->size = in->size ? in->size * 2 : 64;
		more = realloc(in->files, in->size * sizeof(*more));
		if (!more)
			return verr_set(e, VERR_RETRY, "out of memory");
		in->files = more;
	}
	if (asprintf(&path, "%s/%s", folder, name) == -1)
		return verr_set(e, VERR_RETRY, "out of memory");
	in->files[in->count++] = (struct file){ .path = path };
	return 0;
}

static bool
has_suffix(const char *name)
{
	size_t len = strlen(name), n = strlen(SUFFIX);

	return *name != '.' && len > n && strcmp(name + len - n, SUFFIX) == 0;
}

/* 2026-11-21-10-30-00, as FreeSWITCH names them. */
static bool
is_rotated(const char *name)
{
	static const char form[] = "0000-00-00-00-00-00";
	size_t i = 0;

	for (; form[i] && name[i]; i++)
		if (form[i] == '0' ? name[i] < '0' || name[i] > '9'
				   : name[i] != '-')
			return false;
	return !form[i] && !name[i];
}

static int look_through(struct import *in, const char *folder, bool is_top,
			struct verr *e);

/* One that cannot be read is not worth the others. */
static int
look_into(struct import *in, const char *folder, const char *name,
	  struct verr *e)
{
	struct verr why = VERR_INIT;
	char *inner;
	int rc;

	if (asprintf(&inner, "%s/%s", folder, name) == -1)
		return verr_set(e, VERR_RETRY, "out of memory");
	rc = look_through(in, inner, false, &why);
	free(inner);
	if (rc == -1 && why.kind == VERR_CONFIG) {
		log_error("%s", why.msg);
		return 0;
	}
	if (rc == -1)
		*e = why;
	return rc;
}

static int
look_through(struct import *in, const char *folder, bool is_top, struct verr *e)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	int rc = 0;

	if (!d)
		return verr_sys(e, VERR_CONFIG, "cannot read '%s'", folder);
	while (rc == 0 && (entry = readdir(d))) {
		if (has_suffix(entry->d_name))
			rc = add_file(in, folder, entry->d_name, e);
		else if (is_top && is_rotated(entry->d_name))
			rc = look_into(in, folder, entry->d_name, e);
	}
	closedir(d);
	return rc;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path,
		      ((const struct file *)b)->path);
}

/* --- is it whole? ----------------------------------------------------- */

static bool
has_record(int fd)
{
	struct buf b = BUF_INIT;
	const char *record;
	size_t len, used;
	ssize_t n = 1;
	bool whole = false;

	/* what is longer is refused with its reason, whole or not */
	while (n > 0 && b.len <= INTAKE_BODY_MAX && buf_reserve(&b, 65536)) {
		n = read(fd, b.data + b.len, 65536);
		if (n > 0)
			b.len += (size_t)n;
		if (n == -1 && errno == EINTR)
			n = 1;
	}
	if (n == 0)
		whole = cdrfilter_split(b.data, b.len, false, &record, &len,
					&used);
	else
		whole = b.len > INTAKE_BODY_MAX;
	buf_release(&b);
	return whole;
}

/* Complete, or so old that it will never be. */
static bool
is_ready(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int64_t age_s;
	struct stat st;
	bool ready = false;

	if (fd == -1 || fstat(fd, &st) == -1) {
		log_error("cannot read '%s': %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		log_error("'%s' is no file", path);
	} else {
		age_s = time(NULL) - st.st_mtime;
		ready = has_record(fd) ||
			age_s >= conf_ms("cdr_import_age") / 1000;
	}
	if (fd != -1)
		close(fd);
	return ready;
}

/* --- out of the way --------------------------------------------------- */

/* 0 when a later run will not meet it again. */
static int
set_aside(const struct import *in, const char *path, const char *where)
{
	const char *name = strrchr(path, '/') + 1;
	struct buf to = BUF_INIT;
	int rc = -1;

	buf_printf(&to, "%s/%s", in->directory, where);
	if (!buf_failed(&to) && mkdir(to.data, 0750) == -1 && errno != EEXIST)
		log_error("cannot create '%s': %s", to.data, strerror(errno));
	buf_printf(&to, "/%s", name);
	if (!buf_failed(&to) && (rename(path, to.data) == 0 || errno == ENOENT))
		rc = 0;
	else
		log_error("cannot move '%s' to '%s': %s", path, where,
			  strerror(errno));
	buf_release(&to);
	return rc;
}

static void
settle(struct import *in, const struct file *f)
{
	if (f->failed)
		return;
	if (f->refused || !f->records) {
		in->counts->refused += set_aside(in, f->path, "refused") == 0;
		return;
	}
	in->counts->imported++;
	in->counts->dead += f->dead;
	set_aside(in, f->path, "imported");
}

/* --- the run ---------------------------------------------------------- */

static void
on_row(const struct cdrfilter_row *row, void *arg)
{
	struct import *in = arg;
	struct file key = { .path = (char *)row->file };
	struct file *f = bsearch(&key, in->files, in->count, sizeof(*in->files),
				 by_path);

	if (f) {
		f->records++;
		f->failed = f->failed || strcmp(row->status, "failed") == 0;
		f->refused = f->refused || strcmp(row->status, "refused") == 0;
		f->dead = f->dead || strcmp(row->status, "dead") == 0;
	}
	if (in->row)
		in->row(row, in->arg);
}

/* One that cannot be read holds the others up no more than it must. */
static int
import_files(struct import *in, struct verr *e)
{
	struct cdrfilter *filter = cdrfilter_new(on_row, in, e);
	int rc = 0;

	if (!filter)
		return -1;
	for (size_t i = 0; i < in->count; i++) {
		struct verr why = VERR_INIT;
		struct file *f = &in->files[i];

		f->failed = !is_ready(f->path);
		if (!f->failed && cdrfilter_file(filter, f->path, &why) == -1) {
			log_error("%s", why.msg);
			f->failed = true;
		}
		in->counts->left += f->failed;
	}
	/* a refused one is out of the way, and no failure of the run */
	if (cdrfilter_end(filter, e) == -1) {
		rc = e->kind == VERR_INPUT ? 0 : -1;
		if (rc == 0)
			*e = VERR_INIT;
	}
	cdrfilter_free(filter);
	for (size_t i = 0; i < in->count; i++)
		settle(in, &in->files[i]);
	return rc;
}

int
cdrimport_run(const char *directory, cdrfilter_row_fn row, void *arg,
	      struct cdrimport_counts *counts, struct verr *e)
{
	struct import in = {
		.directory = directory, .row = row, .arg = arg, .counts = counts
	};
	int rc = look_through(&in, directory, true, e);

	*counts = (struct cdrimport_counts){ 0 };
	if (rc == 0 && in.count) {
		qsort(in.files, in.count, sizeof(*in.files), by_path);
		rc = import_files(&in, e);
	}
	for (size_t i = 0; i < in.count; i++)
		free(in.files[i].path);
	free(in.files);
	return rc;
}
