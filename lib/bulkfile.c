#include "bulkfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv.h"
#include "hash.h"
#include "utf8.h"

enum { CHUNK = 256 * 1024 };

/* A file without a name, for nobody else: there may be secrets in it. */
static int
open_copy(struct verr *e)
{
	const char *folder = getenv("TMPDIR");
	int fd;

	if (!folder || !*folder)
		folder = "/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1)
		verr_sys(e, VERR_SYSTEM, "cannot create a file in '%s'",
			 folder);
	return fd;
}

int
bulk_file_open(struct bulk_file *f, const char *path, bool csv, bool keep,
	       struct verr *e)
{
	struct stat st;

	*f = (struct bulk_file){ .path = path, .fd = -1, .copy = -1 };
	f->data = BUF_INIT;
	f->text = BUF_INIT;
	f->csv = csv;
	f->fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				       : open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd == -1)
		return verr_sys(e, VERR_INPUT, "cannot open '%s'", path);
	if (fstat(f->fd, &st) == -1 || S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return verr_sys(e, VERR_INPUT, "cannot read '%s'", path);
	}
	/* Standard input may begin anywhere in its file. */
	if (keep && (!S_ISREG(st.st_mode) || strcmp(path, "-") == 0)) {
		f->copy = open_copy(e);
		if (f->copy == -1)
			return -1;
	}
	return 0;
}

static int
write_copy(int fd, const char *data, size_t len, struct verr *e)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return verr_sys(e, VERR_SYSTEM,
					"cannot keep what was read");
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
read_more(struct bulk_file *f, struct verr *e)
{
	ssize_t n;

	buf_skip(&f->data, f->at);
	f->at = 0;
	if (!buf_reserve(&f->data, CHUNK))
		return verr_set(e, VERR_RETRY, "out of memory");
	do
		n = read(f->fd, f->data.data + f->data.len, CHUNK);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot read '%s'", f->path);
	f->eof = n == 0;
	if (f->copy != -1 &&
	    write_copy(f->copy, f->data.data + f->data.len, (size_t)n, e) == -1)
		return -1;
	f->data.len += (size_t)n;
	f->data.data[f->data.len] = '\0';
	return 0;
}

static void
use(struct bulk_file *f, struct bulk_record *r, size_t n)
{
	f->at += n;
	f->offset += (int64_t)n;
	r->size += n;
}

/* Add a line to the record: 1, 0 when there is none, or -1. */
static int
add_line(struct bulk_file *f, struct bulk_record *r, struct verr *e)
{
	size_t seen = 0;

	for (;;) {
		const char *start = f->data.data + f->at, *newline;
		size_t have = f->data.len - f->at;

		newline = memchr(start + seen, '\n', have - seen);
		if (newline || f->eof) {
			size_t n =
				newline ? (size_t)(newline - start) + 1 : have;

			if (n == 0)
				return 0;
			buf_add(&f->text, start, n);
			use(f, r, n);
			f->line++;
			return 1;
		}
		seen = have;
		if (f->text.len + have > BULK_RECORD_MAX) {
			/* Too long: what has been read is not kept. */
			r->problem = "longer than 1048576 bytes";
			use(f, r, have);
			seen = 0;
		}
		if (r->size > BULK_RECORD_END)
			return verr_set(e, VERR_INPUT,
					"line %ld of '%s' has no end after %d "
					"bytes: this is no text",
					r->line, f->path, BULK_RECORD_END);
		if (read_more(f, e) == -1)
			return -1;
	}
}

static const char *
problem(const struct buf *text)
{
	if (text->len > BULK_RECORD_MAX)
		return "longer than 1048576 bytes";
	if (memchr(text->data, '\0', text->len))
		return "a NUL byte in it";
	if (!utf8_valid(text->data, text->len))
		return "not valid UTF-8";
	return NULL;
}

static void
strip(struct buf *text, bool first)
{
	static const char mark[] = "\xef\xbb\xbf";

	while (text->len && strchr("\r\n", text->data[text->len - 1]) &&
	       text->data[text->len - 1])
		text->data[--text->len] = '\0';
	if (first && text->len >= 3 && memcmp(text->data, mark, 3) == 0)
		buf_skip(text, 3);
}

int
bulk_file_next(struct bulk_file *f, struct bulk_record *r, struct verr *e)
{
	int rc;

	do {
		buf_clear(&f->text);
		*r = (struct bulk_record){ .line = f->line + 1,
					   .offset = f->offset };
		do
			rc = add_line(f, r, e);
		while (rc == 1 && f->csv && !r->problem &&
		       f->text.len <= BULK_RECORD_MAX &&
		       !csv_is_whole(f->text.data, f->text.len));
		if (rc == -1 || r->size == 0)
			return rc == -1 ? -1 : 0;
		if (buf_failed(&f->text))
			return verr_set(e, VERR_RETRY, "out of memory");
		strip(&f->text, r->offset == 0);
	} while (!r->problem && !f->text.data[strspn(f->text.data, " \t\r")] &&
		 f->text.len == strlen(f->text.data));
	if (!r->problem)
		r->problem = problem(&f->text);
	r->text = f->text.data;
	r->len = f->text.len;
	return 1;
}

int
bulk_file_fetch(struct bulk_file *f, int64_t offset, size_t size,
		struct buf *out, struct verr *e)
{
	int fd = f->copy == -1 ? f->fd : f->copy;
	size_t done = 0;

	if (!buf_reserve(out, size))
		return verr_set(e, VERR_RETRY, "out of memory");
	while (done < size) {
		ssize_t n = pread(fd, out->data + out->len, size - done,
				  offset + (int64_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return verr_sys(e, VERR_SYSTEM,
					"cannot read '%s' again", f->path);
		if (n == 0)
			break;
		out->len += (size_t)n;
		done += (size_t)n;
	}
	if (out->size)
		out->data[out->len] = '\0';
	return 0;
}

void
bulk_file_release(struct bulk_file *f)
{
	/* There may have been passwords in it. */
	hash_wipe(f->data.data, f->data.size);
	hash_wipe(f->text.data, f->text.size);
	buf_release(&f->data);
	buf_release(&f->text);
	if (f->fd > 0)
		close(f->fd);
	if (f->copy > 0)
		close(f->copy);
}
