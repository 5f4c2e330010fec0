#include "filereplace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The name of the file in it must survive as well. */
static int
sync_directory_of(const char *path)
{
	char *copy = strdup(path);
	int rc = -1, fd;

	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd != -1) {
		rc = fsync(fd);
		close(fd);
	}
	free(copy);
	return rc;
}

static int
put(const char *temporary, const char *path, const char *text, size_t len,
    mode_t mode, bool durable)
{
	int rc, fd = open(temporary,
			  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			  mode);

	if (fd == -1)
		return -1;
	rc = write_all(fd, text, len);
	if (rc == 0)
		rc = fchmod(fd, mode);
	if (rc == 0 && durable)
		rc = fsync(fd);
	if (close(fd) == -1)
		rc = -1;
	if (rc == 0)
		rc = rename(temporary, path);
	if (rc == 0 && durable)
		rc = sync_directory_of(path);
	return rc;
}

int
file_replace(const char *path, const char *text, size_t len, mode_t mode,
	     bool durable, struct verr *e)
{
	struct buf temporary = BUF_INIT;
	int rc = 0;

	buf_printf(&temporary, "%s.%ld.tmp", path, (long)getpid());
	if (buf_failed(&temporary)) {
		rc = verr_set(e, VERR_RETRY, "out of memory");
	} else if (put(temporary.data, path, text, len, mode, durable) == -1) {
		enum verr_kind kind =
			errno == ENOSPC || errno == EDQUOT || errno == EIO
				? VERR_RETRY
				: VERR_CONFIG;

		rc = verr_sys(e, kind, "cannot write '%s'", path);
		unlink(temporary.data);
	}
	buf_release(&temporary);
	return rc;
}

int
file_read(const char *path, size_t limit, struct buf *out, struct verr *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t before = out->len;
	ssize_t n = -1;

	if (fd == -1)
		return verr_sys(e,
				errno == ENOENT ? VERR_NOTFOUND : VERR_CONFIG,
				"cannot read '%s'", path);
	while (out->len - before <= limit && buf_reserve(out, 4096)) {
		n = read(fd, out->data + out->len, 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
		out->data[out->len] = '\0';
	}
	if (n == -1)
		verr_sys(e, VERR_CONFIG, "cannot read '%s'", path);
	close(fd);
	if (out->len - before > limit)
		return verr_set(e, VERR_INPUT, "'%s' is longer than %zu bytes",
				path, limit);
	if (buf_failed(out))
		return verr_set(e, VERR_RETRY, "out of memory");
	return n == -1 ? -1 : 0;
}

bool
file_has(const char *path, const char *text)
{
	struct verr ignored = VERR_INIT;
	struct buf b = BUF_INIT;
	bool same = file_read(path, strlen(text), &b, &ignored) == 0 &&
		    b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;

	buf_release(&b);
	return same;
}
