#include "spool_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- life ------------------------------------------------------------- */

struct spool *
spool_open(const char *path, int64_t limit, struct verr *e)
{
	struct spool *s = calloc(1, sizeof(*s));
	size_t count;
	int64_t bytes;

	if (s) {
		s->dir = s->lock = -1;
		s->limit = limit;
		s->path = strdup(path);
	}
	if (!s || !s->path) {
		verr_set(e, VERR_RETRY, "out of memory");
		goto fail;
	}
	if (mkdir(path, 0700) == -1 && errno != EEXIST) {
		verr_sys(e, VERR_CONFIG, "cannot create spool '%s'", path);
		goto fail;
	}
	s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir == -1 || faccessat(s->dir, ".", W_OK | X_OK, 0) == -1) {
		verr_sys(e, VERR_CONFIG, "cannot use spool '%s'", path);
		goto fail;
	}
	if (spool_usage(s, &count, &bytes, e) == -1)
		goto fail;
	return s;

fail:
	spool_close(s);
	return NULL;
}

void
spool_close(struct spool *s)
{
	if (!s)
		return;
	spool_discard(s);
	spool_unlock(s);
	if (s->dir != -1)
		close(s->dir);
	free(s->staged);
	free(s->path);
	free(s);
}

int
spool_give_to_owner(const struct spool *s, int fd)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(s->dir, &st) == -1)
		return -1;
	return fchown(fd, st.st_uid, st.st_gid);
}

/* --- reading ---------------------------------------------------------- */

void
spool_record_release(struct spool_record *r)
{
	buf_release(&r->content);
	r->body = NULL;
	r->body_len = 0;
}

bool
spool_record_header(const struct spool_record *r, const char *name,
		    struct buf *value)
{
	size_t len = strlen(name);
	const char *line = strchr(r->content.data, '\n'), *end;

	while (line && line + 1 < r->body && line[1] != '\n') {
		line++;
		end = strchr(line, '\n');
		if (strncmp(line, name, len) == 0 && line[len] == ':' &&
		    line[len + 1] == ' ') {
			buf_add(value, line + len + 2,
				(size_t)(end - line) - len - 2);
			return true;
		}
		line = end;
	}
	return false;
}

static int
read_all(int fd, struct buf *b)
{
	char part[16384];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		buf_add(b, part, (size_t)n);
	}
	if (buf_failed(b)) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

/* The header is text; a NUL in it makes the file no record. */
static bool
parse_record(struct spool_record *r)
{
	const char *start = r->content.data, *end;
	size_t magic = strlen(SPOOL_MAGIC), head;
	char *stop;
	unsigned long long len;

	if (strncmp(start, SPOOL_MAGIC, magic) != 0)
		return false;
	len = strtoull(start + magic, &stop, 10);
	end = strstr(start, "\n\n");
	if (*stop != '\n' || !end)
		return false;
	head = (size_t)(end - start) + 2;
	if (r->content.len - head != len)
		return false;
	r->body = start + head;
	r->body_len = (size_t)len;
	return true;
}

static bool
is_record_name(const char *name)
{
	return *name != '.' && !strchr(name, '/') &&
	       strspn(name, "0123456789.-") == strlen(name);
}

int
spool_read(struct spool *s, const char *name, struct spool_record *r,
	   struct verr *e)
{
	int fd, rc = -1;

	*r = (struct spool_record){ .content = BUF_INIT };
	snprintf(r->name, sizeof(r->name), "%s", name);
	fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return verr_sys(
			e, errno == ENOENT ? VERR_NOTFOUND : VERR_SYSTEM,
			"cannot open '%s' in spool '%s'", name, s->path);
	if (read_all(fd, &r->content) == -1)
		verr_sys(e, VERR_RETRY, "cannot read '%s' in spool '%s'", name,
			 s->path);
	else if (!parse_record(r))
		verr_set(e, VERR_INPUT, "'%s' in spool '%s' is no record", name,
			 s->path);
	else
		rc = 0;
	close(fd);
	if (rc == -1 && e->kind != VERR_INPUT)
		spool_record_release(r);
	return rc;
}

static void
forget(struct spool *s, int64_t size)
{
	if (s->count)
		s->count--;
	s->bytes -= size < s->bytes ? size : s->bytes;
}

static int64_t
file_size(struct spool *s, const char *name)
{
	struct stat st;

	return fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0
		       ? (int64_t)st.st_size
		       : 0;
}

int
spool_remove(struct spool *s, const char *name, struct verr *e)
{
	int64_t size = file_size(s, name);

	if (unlinkat(s->dir, name, 0) == -1 && errno != ENOENT)
		return verr_sys(e, VERR_SYSTEM,
				"cannot remove '%s' from spool '%s'", name,
				s->path);
	forget(s, size);
	return 0;
}

static int
make_bad(struct spool *s)
{
	int fd, rc;

	if (mkdirat(s->dir, "bad", 0700) == -1)
		return errno == EEXIST ? 0 : -1;
	fd = openat(s->dir, "bad",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	rc = spool_give_to_owner(s, fd);
	close(fd);
	return rc;
}

int
spool_set_aside(struct spool *s, const char *name, struct verr *e)
{
	int64_t size = file_size(s, name);
	char bad[80];

	snprintf(bad, sizeof(bad), "bad/%s", name);
	if (make_bad(s) == -1 || renameat(s->dir, name, s->dir, bad) == -1)
		return verr_sys(e, VERR_SYSTEM,
				"cannot set '%s' of spool '%s' aside", name,
				s->path);
	forget(s, size);
	return 0;
}

/* --- what is there ---------------------------------------------------- */

/* Call `fn` for each name; it returns false to stop. */
static int
each_name(struct spool *s,
	  bool (*fn)(struct spool *s, const char *name, void *arg), void *arg,
	  struct verr *e)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!d) {
		verr_sys(e, VERR_SYSTEM, "cannot read spool '%s'", s->path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	while ((entry = readdir(d)))
		if (!fn(s, entry->d_name, arg))
			break;
	closedir(d);
	return 0;
}

struct names {
	char **all;
	size_t count;
	size_t size;
	int64_t bytes;
	bool failed;
};

static bool
add_name(struct spool *s, const char *name, void *arg)
{
	struct names *n = arg;

	if (!is_record_name(name))
		return true;
	if (n->count == n->size) {
		size_t size = n->size ? n->size * 2 : 64;
		char **more = realloc(n->all, size * sizeof(*more));

		if (!more)
			n->failed = true;
		if (!more)
			return false;
		n->all = more;
		n->size = size;
	}
	n->bytes += file_size(s, name);
	n->all[n->count] = strdup(name);
	n->failed = !n->all[n->count];
	n->count += !n->failed;
	return !n->failed;
}

static int
by_age(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
free_names(struct names *n, size_t from)
{
	for (size_t i = from; i < n->count; i++)
		free(n->all[i]);
	if (from == 0)
		free(n->all);
}

int
spool_list(struct spool *s, size_t max, char ***names, size_t *count,
	   struct verr *e)
{
	struct names n = { 0 };
	int rc = each_name(s, add_name, &n, e);

	*names = NULL;
	*count = 0;
	if (rc == 0 && n.failed)
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == -1) {
		free_names(&n, 0);
		return -1;
	}
	s->count = n.count;
	s->bytes = n.bytes;
	if (n.count)
		qsort(n.all, n.count, sizeof(*n.all), by_age);
	if (n.count > max) {
		free_names(&n, max);
		n.count = max;
	}
	*names = n.all;
	*count = n.count;
	return 0;
}

int
spool_usage(struct spool *s, size_t *count, int64_t *bytes, struct verr *e)
{
	char **names;
	size_t n;

	if (spool_list(s, SIZE_MAX, &names, &n, e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	*count = s->count;
	*bytes = s->bytes;
	return 0;
}

bool
spool_is_empty(const struct spool *s)
{
	return s->count == 0;
}

/* A lock that can be had has no writer any more. */
static bool
clean_name(struct spool *s, const char *name, void *arg)
{
	int fd;

	(void)arg;
	if (strncmp(name, SPOOL_TMP, strlen(SPOOL_TMP)) != 0)
		return true;
	fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return true;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(s->dir, name, 0);
	close(fd);
	return true;
}

int
spool_clean(struct spool *s, struct verr *e)
{
	return each_name(s, clean_name, NULL, e);
}

/* --- one drainer ------------------------------------------------------ */

/* Only a file of our own making is given away, never what a link leads to. */
static int
open_lock(struct spool *s)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(s->dir, ".lock", flags | O_CREAT | O_EXCL, 0600);

	if (fd == -1)
		return errno == EEXIST ? openat(s->dir, ".lock", flags) : -1;
	if (spool_give_to_owner(s, fd) == -1) {
		close(fd);
		unlinkat(s->dir, ".lock", 0);
		return -1;
	}
	return fd;
}

int
spool_lock(struct spool *s, struct verr *e)
{
	if (s->lock != -1)
		return 1;
	s->lock = open_lock(s);
	if (s->lock == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot lock spool '%s'",
				s->path);
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return 1;
	close(s->lock);
	s->lock = -1;
	return 0;
}

void
spool_unlock(struct spool *s)
{
	if (s->lock != -1)
		close(s->lock);
	s->lock = -1;
}
