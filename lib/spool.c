#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAGIC "voip-spool 1 "
#define TMP   ".tmp-"

struct staged {
	char name[64];
	int fd; /* open for its lock */
	int64_t size;
};

struct spool {
	char *path;
	int dir;
	int lock;
	int64_t limit;
	size_t count; /* as far as this process knows */
	int64_t bytes;
	struct staged *staged;
	size_t nstaged;
	unsigned counter;
};

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

/*
 * What root makes (a person at the shell) belongs to the directory's owner: the
 * service must be able to read it.
 */
static int
give_to_owner(const struct spool *s, int fd)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(s->dir, &st) == -1)
		return -1;
	return fchown(fd, st.st_uid, st.st_gid);
}

/* --- writing ---------------------------------------------------------- */

/* What may pass when somebody makes room is worth another try. */
static int
write_error(const struct spool *s, const char *verb, const char *name,
	    struct verr *e)
{
	bool room = errno == ENOSPC || errno == EDQUOT || errno == EMFILE ||
		    errno == ENFILE || errno == ENOMEM || errno == EIO;

	return verr_sys(e, room ? VERR_RETRY : VERR_SYSTEM,
			"cannot %s '%s' in spool '%s'", verb, name, s->path);
}

static int
write_all(int fd, struct iovec *v, int n)
{
	while (n) {
		ssize_t done = writev(fd, v, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1)
			return -1;
		while (n && (size_t)done >= v->iov_len) {
			done -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static void
make_name(struct spool *s, char name[64])
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, 64, "%011lld.%06ld-%d-%06u", (long long)now.tv_sec,
		 now.tv_nsec / 1000, (int)getpid(), s->counter++ % 1000000);
}

static void
make_header(struct buf *b, const struct spool_header *headers, size_t len)
{
	buf_printf(b, MAGIC "%zu\n", len);
	for (; headers && headers->name; headers++) {
		if (!headers->value)
			continue;
		buf_printf(b, "%s: ", headers->name);
		for (const char *p = headers->value; *p; p++)
			buf_putc(b, *p == '\n' || *p == '\r' ? ' ' : *p);
		buf_putc(b, '\n');
	}
	buf_putc(b, '\n');
}

static struct staged *
staged_new(struct spool *s, struct verr *e)
{
	struct staged *more;

	more = realloc(s->staged, (s->nstaged + 1) * sizeof(*more));
	if (!more) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	s->staged = more;
	more += s->nstaged;
	make_name(s, more->name);
	more->fd = -1;
	return more;
}

static void
tmp_name(char tmp[80], const char *name)
{
	snprintf(tmp, 80, TMP "%s", name);
}

int
spool_stage(struct spool *s, const struct spool_header *headers,
	    const void *data, size_t len, struct verr *e)
{
	struct buf head = BUF_INIT;
	struct staged *file = staged_new(s, e);
	char tmp[80];
	int rc = -1;

	if (!file)
		return -1;
	make_header(&head, headers, len);
	file->size = (int64_t)(head.len + len);
	tmp_name(tmp, file->name);
	if (buf_failed(&head)) {
		verr_set(e, VERR_RETRY, "out of memory");
		goto out;
	}
	if (s->limit && s->bytes + file->size > s->limit) {
		verr_set(e, VERR_RETRY,
			 "spool '%s' is full: %lld bytes of %lld", s->path,
			 (long long)s->bytes, (long long)s->limit);
		goto out;
	}
	file->fd = openat(s->dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	if (file->fd == -1) {
		write_error(s, "create", tmp, e);
		goto out;
	}
	if (flock(file->fd, LOCK_EX | LOCK_NB) == -1 ||
	    give_to_owner(s, file->fd) == -1 ||
	    write_all(file->fd,
		      (struct iovec[]){ { head.data, head.len },
					{ (void *)data, len } },
		      2) == -1 ||
	    fsync(file->fd) == -1) {
		write_error(s, "write", tmp, e);
		goto out;
	}
	s->nstaged++;
	s->bytes += file->size;
	rc = 0;

out:
	if (rc == -1 && file->fd != -1) {
		unlinkat(s->dir, tmp, 0);
		close(file->fd);
	}
	buf_release(&head);
	return rc;
}

/* The names before `first` are in place. */
static void
drop_staged(struct spool *s, size_t first)
{
	char tmp[80];

	for (size_t i = 0; i < s->nstaged; i++) {
		if (i >= first) {
			tmp_name(tmp, s->staged[i].name);
			unlinkat(s->dir, tmp, 0);
			s->bytes -= s->staged[i].size;
		}
		close(s->staged[i].fd);
	}
	s->nstaged = 0;
}

void
spool_discard(struct spool *s)
{
	drop_staged(s, 0);
}

int
spool_publish(struct spool *s, struct verr *e)
{
	size_t done = 0;
	int rc = 0;
	char tmp[80];

	for (; rc == 0 && done < s->nstaged; done++) {
		const char *name = s->staged[done].name;

		tmp_name(tmp, name);
		if (renameat(s->dir, tmp, s->dir, name) == -1) {
			rc = write_error(s, "publish", name, e);
			break;
		}
	}
	s->count += done;
	if (done && fsync(s->dir) == -1)
		rc = write_error(s, "publish", ".", e);
	drop_staged(s, done);
	return rc;
}

int
spool_put(struct spool *s, const struct spool_header *headers, const void *data,
	  size_t len, struct verr *e)
{
	if (spool_stage(s, headers, data, len, e) == -1) {
		spool_discard(s);
		return -1;
	}
	return spool_publish(s, e);
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
	size_t magic = strlen(MAGIC), head;
	char *stop;
	unsigned long long len;

	if (strncmp(start, MAGIC, magic) != 0)
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
	rc = give_to_owner(s, fd);
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
	if (strncmp(name, TMP, strlen(TMP)) != 0)
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
	if (give_to_owner(s, fd) == -1) {
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
