#include "cdrimport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cdrfiles.h"
#include "conf.h"
#include "intake.h"
#include "log.h"

/* What was found, and what became of it. */
struct file {
	const char *path; /* borrowed from the list */
	size_t records;
	bool failed;
	bool refused;
	bool dead;
};

struct import {
	const char *directory;
	struct file *files;
	size_t count;
	cdrfilter_row_fn row;
	void *arg;
	struct cdrimport_counts *counts;
};

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
	struct file key = { .path = row->file };
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
	struct cdrfiles files = { NULL, 0, 0 };
	int rc = cdrfiles_list(&files, directory, NULL, e);

	*counts = (struct cdrimport_counts){ 0 };
	if (rc == 0 && files.count) {
		in.files = calloc(files.count, sizeof(*in.files));
		if (!in.files)
			rc = verr_set(e, VERR_RETRY, "out of memory");
		for (; in.files && in.count < files.count; in.count++)
			in.files[in.count].path = files.paths[in.count];
	}
	if (rc == 0 && in.count)
		rc = import_files(&in, e);
	free(in.files);
	cdrfiles_release(&files);
	return rc;
}
