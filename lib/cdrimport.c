#include "cdrimport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "cdraside.h"
#include "cdrfiles.h"
#include "cdrsalvaged.h"
#include "conf.h"
#include "intake.h"
#include "log.h"

/* FreeSWITCH writes a record to a file, which may be encoded. */
#define FILE_MAX (16 << 20)

/* What was found, and what became of it. */
struct file {
	const char *path; /* borrowed from the list */
	struct stat st;   /* when it was opened */
	size_t records;
	bool gone; /* to another run, or somebody else */
	bool failed;
	bool refused;
	bool dead;
};

struct import {
	const char *directory;
	struct file *files;
	size_t count;
	size_t settled; /* those before it are done with */
	size_t stuck;   /* they could not be moved */
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
is_ready(const struct file *f, int fd)
{
	int64_t age_s = time(NULL) - f->st.st_mtime;

	return age_s >= conf_ms("cdr_import_age") / 1000 || has_record(fd);
}

/* --- out of the way --------------------------------------------------- */

static int
set_aside(struct import *in, const struct file *f, const char *folder)
{
	struct verr why = VERR_INIT;

	if (cdraside_move(in->directory, folder, f->path, &f->st, &why) == 0)
		return 0;
	log_error("%s", why.msg);
	in->stuck += why.kind != VERR_CONFLICT;
	return -1;
}

static void
settle(struct import *in, const struct file *f)
{
	if (f->gone)
		return;
	if (f->failed) {
		in->counts->left++;
		return;
	}
	if (f->refused || !f->records) {
		in->counts->refused += set_aside(in, f, "refused") == 0;
		return;
	}
	in->counts->imported++;
	in->counts->dead += f->dead;
	set_aside(in, f, "imported");
}

static void
settle_until(struct import *in, size_t end)
{
	while (in->settled < end)
		settle(in, &in->files[in->settled++]);
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
		if (strcmp(row->status, "refused") == 0)
			log_warning("'%s' is refused: %s", f->path,
				    row->reason);
	}
	if (in->row)
		in->row(row, in->arg);
}

/* Of as many records as there were to save. */
static bool
is_many(const char *path)
{
	size_t len = strlen(path), n = strlen(CDRSALVAGED_SUFFIX);

	return len > n && strcmp(path + len - n, CDRSALVAGED_SUFFIX) == 0;
}

/* Opened once, so that what was looked at is what is read. */
static void
import_file(struct cdrfilter *filter, struct file *f)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK |
				       O_NOCTTY);
	struct verr why = VERR_INIT;

	f->failed = true;
	if (fd == -1 && errno == ENOENT) {
		f->gone = true;
	} else if (fd == -1 || fstat(fd, &f->st) == -1) {
		log_error("cannot read '%s': %s", f->path, strerror(errno));
	} else if (!S_ISREG(f->st.st_mode)) {
		log_error("'%s' is no file", f->path);
	} else if (f->st.st_size > FILE_MAX && !is_many(f->path)) {
		log_warning("'%s' is refused: it is longer than %d bytes",
			    f->path, FILE_MAX);
		f->refused = true;
		f->failed = false;
	} else if (is_ready(f, fd)) {
		f->failed = lseek(fd, 0, SEEK_SET) == -1 ||
			    cdrfilter_fd(filter, f->path, fd, &why) == -1;
		if (f->failed)
			log_error("%s", why.msg);
	}
	if (fd != -1)
		close(fd);
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
		import_file(filter, &in->files[i]);
		/* a kill now costs no more than a batch is worth */
		if (cdrfilter_pending(filter) == 0)
			settle_until(in, i + 1);
	}
	/* a refused one is out of the way, and no failure of the run */
	if (cdrfilter_end(filter, e) == -1) {
		rc = e->kind == VERR_INPUT ? 0 : -1;
		if (rc == 0)
			*e = VERR_INIT;
	}
	cdrfilter_free(filter);
	settle_until(in, in->count);
	if (rc == 0 && in->stuck)
		rc = verr_set(e, VERR_CONFIG,
			      "%zu files could not be moved aside\n"
			      "hint: until they can, each run imports them "
			      "again; they are stored once",
			      in->stuck);
	return rc;
}

/* The lock of this run; `*fd` is -1 when another has it.  A file system
 * without locks is no reason to leave the files. */
static int
lock_directory(const char *directory, int *fd, struct verr *e)
{
	*fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot read '%s'", directory);
	if (flock(*fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		close(*fd);
		*fd = -1;
	}
	return 0;
}

int
cdrimport_run(const char *directory, cdrfilter_row_fn row, void *arg,
	      struct cdrimport_counts *counts, struct verr *e)
{
	struct import in = {
		.directory = directory, .row = row, .arg = arg, .counts = counts
	};
	struct cdrfiles files = { NULL, 0, 0 };
	int lock, rc;

	*counts = (struct cdrimport_counts){ 0 };
	if (lock_directory(directory, &lock, e) == -1)
		return -1;
	if (lock == -1) {
		log_info("another import of '%s' is at work", directory);
		return 0;
	}
	rc = cdrfiles_list(&files, directory, NULL, e);
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
	close(lock);
	return rc;
}
