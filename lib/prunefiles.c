#include "prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "log.h"

struct census {
	int64_t files;
	int64_t bytes;
	int64_t failed;
};

/* Its change time is when it was moved here. */
static void
remove_one(const struct prune *p, int folder, const char *name, time_t before,
	   struct census *n)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || st.st_ctime >= before)
		return;
	if (!p->o->dry_run && unlinkat(folder, name, 0) == -1 &&
	    errno != ENOENT) {
		if (n->failed++ == 0)
			log_error("cannot remove '%s': %s", name,
				  strerror(errno));
		return;
	}
	n->files++;
	n->bytes += st.st_size;
}

static int
remove_old(struct prune *p, const struct prune_job *job, int top,
	   const char *where, time_t before, struct verr *e)
{
	struct census n = { 0, 0, 0 };
	const struct dirent *entry;
	DIR *d = NULL;
	int folder;

	folder = openat(top, where,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder == -1 && errno == ENOENT)
		return 0;
	if (folder == -1 || !(d = fdopendir(folder))) {
		verr_sys(e, VERR_CONFIG, "cannot read '%s'", where);
		if (folder != -1)
			close(folder);
		return -1;
	}
	while (prune_stopped(p, e) == 0 && (entry = readdir(d)))
		remove_one(p, folder, entry->d_name, before, &n);
	closedir(d);
	if (n.files)
		prune_report(p, job->name, where,
			     p->o->dry_run ? "remove" : "removed", n.files,
			     n.bytes);
	if (prune_stopped(p, e) == -1)
		return -1;
	if (n.failed)
		return verr_set(e, VERR_CONFIG,
				"files of '%s' cannot be removed", where);
	return 0;
}

int
prune_files(struct prune *p, const struct prune_job *job, struct verr *e)
{
	static const char *const folders[] = { "imported", "refused" };
	const char *path = conf_str("cdr_import_dir");
	int64_t keep_s = conf_ms(job->setting) / 1000;
	int top, rc = 0;

	if (!keep_s)
		return 0;
	top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top == -1 && errno == ENOENT)
		return 0;
	if (top == -1)
		return verr_sys(e, VERR_CONFIG, "cannot read '%s'", path);
	for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(*folders);
	     i++)
		rc = remove_old(p, job, top, folders[i], time(NULL) - keep_s,
				e);
	close(top);
	return rc;
}
