#include "cdraside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define SUFFIX    ".cdr.json"
#define NAMES_MAX 10000
/* What the group of the directory may do, and that it is inherited. */
#define GROUP_RIGHTS (S_ISGID | S_IRWXG)

/* Also after a kill between making it and this. */
static void
take_after(int folder, int top, const char *name)
{
	struct stat own, parent;

	if (fstat(folder, &own) == -1 || fstat(top, &parent) == -1 ||
	    own.st_uid != geteuid())
		return;
	if (own.st_gid == parent.st_gid &&
	    (own.st_mode & GROUP_RIGHTS) == (parent.st_mode & GROUP_RIGHTS))
		return;
	if (fchown(folder, (uid_t)-1, parent.st_gid) == -1 ||
	    fchmod(folder, S_IRWXU | (parent.st_mode & GROUP_RIGHTS)) == -1)
		log_warning("'%s' keeps its group and rights: %s", name,
			    strerror(errno));
}

static int
open_folder(const char *directory, const char *name)
{
	int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int folder = -1, why;

	if (top == -1)
		return -1;
	if (mkdirat(top, name, S_IRWXU) == 0 || errno == EEXIST)
		folder =
			openat(top, name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder != -1)
		take_after(folder, top, name);
	why = errno;
	close(top);
	errno = why;
	return folder;
}

/* A file system that knows no renameat2() has no better than a look before. */
static int
rename_new(const char *path, int folder, const char *name)
{
	struct stat st;

	if (renameat2(AT_FDCWD, path, folder, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(AT_FDCWD, path, folder, name) : -1;
}

/* The n-th name, which is still one of a record and no longer than allowed. */
static void
nth_name(char out[NAME_MAX + 1], const char *name, int n)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);
	char end[32];

	if (len > suffix && strcmp(name + len - suffix, SUFFIX) == 0)
		len -= suffix;
	snprintf(end, sizeof(end), ".%d" SUFFIX, n);
	if (len > NAME_MAX - strlen(end))
		len = NAME_MAX - strlen(end);
	snprintf(out, NAME_MAX + 1, "%.*s%s", (int)len, name, end);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int
cdraside_move(const char *directory, const char *folder, const char *path,
	      const struct stat *as_read, struct verr *e)
{
	const char *name = strrchr(path, '/') + 1;
	char other[NAME_MAX + 1];
	struct stat st;
	int to, rc = -1;

	if (lstat(path, &st) == -1 && errno == ENOENT)
		return 0;
	if (!is_same(&st, as_read))
		return verr_set(e, VERR_CONFLICT,
				"'%s' was changed while it was read", path);
	to = open_folder(directory, folder);
	if (to != -1)
		rc = rename_new(path, to, name);
	for (int n = 2;
	     to != -1 && rc == -1 && errno == EEXIST && n <= NAMES_MAX; n++) {
		nth_name(other, name, n);
		rc = rename_new(path, to, other);
	}
	if (rc == -1 && to != -1 && errno == ENOENT)
		rc = 0;
	if (rc == -1)
		verr_sys(e, VERR_CONFIG, "cannot move '%s' to '%s'", path,
			 folder);
	if (to != -1)
		close(to);
	return rc;
}
