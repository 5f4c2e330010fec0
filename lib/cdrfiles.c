#include "cdrfiles.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdrsalvaged.h"
#include "log.h"

#define SUFFIX ".cdr.json"

static int
add_file(struct cdrfiles *files, const char *folder, const char *name,
	 struct verr *e)
{
	char **more, *path;

	if (files->count == files->size) {
		files->size = files->size ? files->size * 2 : 64;
		more = realloc(files->paths, files->size * sizeof(*more));
		if (!more)
			return verr_set(e, VERR_RETRY, "out of memory");
		files->paths = more;
	}
	if (asprintf(&path, "%s/%s", folder, name) == -1)
		return verr_set(e, VERR_RETRY, "out of memory");
	files->paths[files->count++] = path;
	return 0;
}

static bool
ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcmp(name + len - n, suffix) == 0;
}

static bool
has_suffix(const char *name)
{
	return *name != '.' &&
	       (ends_with(name, SUFFIX) || ends_with(name, CDRSALVAGED_SUFFIX));
}

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

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; names && *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static int look_through(struct cdrfiles *files, const char *folder, bool is_top,
			const char *const *more, struct verr *e);

/* One that cannot be read is not worth the others. */
static int
look_into(struct cdrfiles *files, const char *folder, const char *name,
	  struct verr *e)
{
	struct verr why = VERR_INIT;
	char *inner;
	int rc;

	if (asprintf(&inner, "%s/%s", folder, name) == -1)
		return verr_set(e, VERR_RETRY, "out of memory");
	rc = look_through(files, inner, false, NULL, &why);
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
look_through(struct cdrfiles *files, const char *folder, bool is_top,
	     const char *const *more, struct verr *e)
{
	/* what lies below belongs to FreeSWITCH, which leads nowhere else */
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				      (is_top ? 0 : O_NOFOLLOW));
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (!d) {
		verr_sys(e, VERR_CONFIG, "cannot read '%s'", folder);
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (rc == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (has_suffix(name))
			rc = add_file(files, folder, name, e);
		else if (is_top && (is_rotated(name) || is_one_of(name, more)))
			rc = look_into(files, folder, name, e);
	}
	closedir(d);
	return rc;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
cdrfiles_list(struct cdrfiles *files, const char *directory,
	      const char *const *more, struct verr *e)
{
	int rc = look_through(files, directory, true, more, e);

	if (files->count)
		qsort(files->paths, files->count, sizeof(*files->paths),
		      by_path);
	return rc;
}

void
cdrfiles_release(struct cdrfiles *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->paths[i]);
	free(files->paths);
	*files = (struct cdrfiles){ NULL, 0, 0 };
}
