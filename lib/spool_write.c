/* A record is whole before it has its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "spool_private.h"

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
	buf_printf(b, SPOOL_MAGIC "%zu\n", len);
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

static struct spool_staged *
staged_new(struct spool *s, struct verr *e)
{
	struct spool_staged *more;

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
	snprintf(tmp, 80, SPOOL_TMP "%s", name);
}

int
spool_stage(struct spool *s, const struct spool_header *headers,
	    const void *data, size_t len, struct verr *e)
{
	struct buf head = BUF_INIT;
	struct spool_staged *file = staged_new(s, e);
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
	    spool_give_to_owner(s, file->fd) == -1 ||
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
