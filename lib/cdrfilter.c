#include "cdrfilter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdr.h"
#include "cdrqueue.h"
#include "cdrsalvaged.h"
#include "conf.h"
#include "intake.h"
#include "log.h"

#define READ_STEP  65536
#define RECORD_MAX (4 << 20)

/* A record that waits for its batch. */
struct pending {
	char *body;
	size_t len;
	char received_at[32];
	const char *file;
	size_t number;
	char *uuid;
	char *reason;
	char *peer;         /* NULL: the file */
	char *content_type; /* or NULL */
};

struct cdrfilter {
	struct db *db;
	struct spool *spool;
	cdrfilter_row_fn fn;
	void *arg;
	struct pending *pending;
	size_t count, max;
	bool away; /* the database failed: do not wait for it again */
	size_t refused, failed;
};

/* --- records ---------------------------------------------------------- */

/* The end of the JSON object that begins at data[0], or 0. */
static size_t
object_length(const char *data, size_t len)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = data[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{') {
			depth++;
		} else if (c == '}' && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

bool
cdrfilter_split(const char *data, size_t len, bool at_end, const char **record,
		size_t *record_len, size_t *used)
{
	size_t start = 0, n;

	while (start < len && strchr(" \t\r\n", data[start]) && data[start])
		start++;
	*used = start;
	if (start == len)
		return false;
	*record = data + start;
	if (data[start] == '{') {
		n = object_length(data + start, len - start);
	} else {
		const char *end = memchr(data + start, '\n', len - start);

		n = end ? (size_t)(end - data) - start : 0;
	}
	if (n == 0 && !at_end)
		return false;
	if (n == 0)
		n = len - start;
	*record_len = n;
	*used = start + n;
	while (*record_len && (*record)[*record_len - 1] == '\r')
		--*record_len;
	return true;
}

/* --- storing ---------------------------------------------------------- */

static void
report(struct cdrfilter *f, const struct pending *p, const char *status,
       const char *reason)
{
	f->fn(&(struct cdrfilter_row){ p->file, p->number, p->uuid, status,
				       reason },
	      f->arg);
}

static void
pending_release(struct pending *p)
{
	free(p->body);
	free(p->uuid);
	free(p->reason);
	free(p->peer);
	free(p->content_type);
}

static struct cdrqueue_row
pending_row(const struct pending *p)
{
	return (struct cdrqueue_row){ .body = p->body,
				      .len = p->len,
				      .received_at = p->received_at,
				      .peer = p->peer ? p->peer : p->file,
				      .query_uuid = p->uuid,
				      .content_type = p->content_type,
				      .reason = p->reason };
}

static int
write_batch(struct cdrfilter *f, struct verr *e)
{
	struct cdrqueue_batch b;
	int rc;

	if (f->away)
		return -1;
	cdrqueue_init(&b);
	for (size_t i = 0; i < f->count; i++) {
		struct cdrqueue_row row = pending_row(&f->pending[i]);

		cdrqueue_add(&b, &row);
	}
	rc = cdrqueue_write(f->db, &b, e);
	cdrqueue_release(&b);
	if (rc == 0)
		return 0;
	log_warning("CDRs go to the spool: %s", e->msg);
	f->away = true;
	return -1;
}

static int
spool_batch(struct cdrfilter *f, struct verr *e)
{
	for (size_t i = 0; i < f->count; i++) {
		struct cdrqueue_row row = pending_row(&f->pending[i]);

		if (cdrqueue_stage(f->spool, &row, e) == -1) {
			spool_discard(f->spool);
			return -1;
		}
	}
	return spool_publish(f->spool, e);
}

static void
store(struct cdrfilter *f)
{
	struct verr e = VERR_INIT;
	bool written, spooled = false;

	if (!f->count)
		return;
	written = write_batch(f, &e) == 0;
	if (!written) {
		e = VERR_INIT;
		spooled = spool_batch(f, &e) == 0;
	}
	for (size_t i = 0; i < f->count; i++) {
		struct pending *p = &f->pending[i];

		if (written)
			report(f, p, p->reason ? "dead" : "queued", p->reason);
		else if (spooled)
			report(f, p, "spooled", p->reason);
		else
			report(f, p, "failed", e.msg);
		f->failed += !written && !spooled;
		pending_release(p);
	}
	f->count = 0;
}

/* --- files ------------------------------------------------------------ */

/* ".../a_UUID.cdr.json" -> UUID; NULL for another name. */
static char *
file_uuid(const char *file)
{
	const char *name = strrchr(file, '/'), *end;

	name = name ? name + 1 : file;
	if (strncmp(name, "a_", 2) == 0)
		name += 2;
	end = strstr(name, ".cdr.json");
	if (!end || end == name || end[strlen(".cdr.json")])
		return NULL;
	return strndup(name, (size_t)(end - name));
}

/* The row that a salvaged line is of; what it is not said to be, it is as any
 * other. */
static int
unpack(struct pending *p, const char *record, size_t len, struct verr *e)
{
	struct cdrsalvaged s;
	int rc = cdrsalvaged_read(&s, record, len, e);

	if (rc == 0) {
		free(p->uuid);
		p->len = s.body.len;
		p->body = buf_detach(&s.body);
		p->uuid = s.query_uuid;
		p->reason = s.reason;
		p->peer = s.peer;
		p->content_type = s.content_type;
		if (s.received_at)
			snprintf(p->received_at, sizeof(p->received_at), "%s",
				 s.received_at);
		s.query_uuid = s.reason = s.peer = s.content_type = NULL;
	}
	cdrsalvaged_release(&s);
	return rc;
}

static int
read_record(struct pending *p, const char *record, size_t len, struct verr *e)
{
	if (cdrsalvaged_is(record, len))
		return unpack(p, record, len, e);
	p->len = len;
	p->body = malloc(len + 1);
	if (!p->body)
		return verr_set(e, VERR_RETRY, "out of memory");
	memcpy(p->body, record, len);
	return 0;
}

/* 0: it is a record, or a dead letter with its reason. */
static int
judge(struct pending *p, struct verr *why)
{
	if (p->len > INTAKE_BODY_MAX)
		return verr_set(why, VERR_INPUT, "it is longer than %d bytes",
				INTAKE_BODY_MAX);
	if (p->reason || cdr_check(p->body, p->len, why) == 0)
		return 0;
	if (why->kind != VERR_INPUT || !p->uuid)
		return -1;
	p->reason = strdup(why->msg);
	return p->reason ? 0 : -1;
}

static int
take_record(struct cdrfilter *f, const char *file, size_t number,
	    const char *record, size_t len, struct verr *e)
{
	struct pending *p = &f->pending[f->count];
	struct verr why = VERR_INIT;
	int rc;

	*p = (struct pending){ .file = file, .number = number };
	p->uuid = file_uuid(file);
	cdrqueue_now(p->received_at);
	rc = read_record(p, record, len, &why);
	if (rc == -1 && why.kind != VERR_INPUT) {
		pending_release(p);
		*e = why;
		return -1;
	}
	if (rc == 0)
		rc = judge(p, &why);
	if (rc == -1) {
		report(f, p, "refused", why.msg);
		f->refused++;
		pending_release(p);
		return 0;
	}
	if (++f->count == f->max)
		store(f);
	return 0;
}

/* So much more than a record may have that its end is not looked for. */
static void
refuse_rest(struct cdrfilter *f, const char *file, size_t number)
{
	struct pending p = { .file = file,
			     .number = number,
			     .uuid = file_uuid(file) };

	report(f, &p, "refused",
	       "it does not end; what follows it was not read");
	f->refused++;
	pending_release(&p);
}

int
cdrfilter_fd(struct cdrfilter *f, const char *file, int fd, struct verr *e)
{
	struct buf b = BUF_INIT;
	const char *record;
	size_t len, used, n_used, number = 0;
	bool at_end = false;
	int rc = 0;

	while (rc == 0 && !at_end) {
		/* as much again: an end is looked for from the start */
		size_t step = b.len > READ_STEP ? b.len : READ_STEP;
		ssize_t n = -1;

		if (b.len > RECORD_MAX) {
			refuse_rest(f, file, ++number);
			break;
		}
		if (buf_reserve(&b, step))
			n = read(fd, b.data + b.len, step);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			rc = verr_sys(e, VERR_SYSTEM, "cannot read '%s'", file);
			break;
		}
		b.len += (size_t)n;
		at_end = n == 0;
		used = 0;
		while (rc == 0 &&
		       cdrfilter_split(b.data + used, b.len - used, at_end,
				       &record, &len, &n_used)) {
			rc = take_record(f, file, ++number, record, len, e);
			used += n_used;
		}
		buf_skip(&b, used);
	}
	buf_release(&b);
	return rc;
}

size_t
cdrfilter_pending(const struct cdrfilter *f)
{
	return f->count;
}

int
cdrfilter_file(struct cdrfilter *f, const char *file, struct verr *e)
{
	int fd, rc;

	if (strcmp(file, "-") == 0)
		return cdrfilter_fd(f, file, STDIN_FILENO, e);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return verr_sys(e, VERR_INPUT, "cannot open '%s'", file);
	rc = cdrfilter_fd(f, file, fd, e);
	close(fd);
	return rc;
}

struct cdrfilter *
cdrfilter_new(cdrfilter_row_fn fn, void *arg, struct verr *e)
{
	struct db_options o = { .retry = DB_RETRY_NEVER };
	struct cdrfilter *f = calloc(1, sizeof(*f));

	if (f) {
		f->fn = fn;
		f->arg = arg;
		f->max = (size_t)conf_int("cdr_batch_size");
		f->pending = calloc(f->max, sizeof(*f->pending));
	}
	if (!f || !f->pending) {
		verr_set(e, VERR_RETRY, "out of memory");
		goto fail;
	}
	cdrqueue_db_options(&o);
	f->db = db_new(&o, e);
	if (!f->db)
		goto fail;
	f->spool = intake_open_spool(e);
	if (!f->spool)
		goto fail;
	return f;
fail:
	cdrfilter_free(f);
	return NULL;
}

void
cdrfilter_free(struct cdrfilter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		pending_release(&f->pending[i]);
	db_free(f->db);
	spool_close(f->spool);
	free(f->pending);
	free(f);
}

int
cdrfilter_end(struct cdrfilter *f, struct verr *e)
{
	store(f);
	if (f->failed)
		return verr_set(e, VERR_RETRY,
				"%zu records could not be stored\n"
				"hint: run it again; what is there twice is "
				"stored once",
				f->failed);
	if (f->refused)
		return verr_set(e, VERR_INPUT, "%zu records were refused",
				f->refused);
	return 0;
}

int
cdrfilter_run(int nfiles, const char **files, cdrfilter_row_fn fn, void *arg,
	      struct verr *e)
{
	struct cdrfilter *f = cdrfilter_new(fn, arg, e);
	struct verr ignored = VERR_INIT;
	int rc = 0;

	if (!f)
		return -1;
	if (nfiles == 0)
		rc = cdrfilter_file(f, "-", e);
	for (int i = 0; rc == 0 && i < nfiles; i++)
		rc = cdrfilter_file(f, files[i], e);
	if (cdrfilter_end(f, rc == 0 ? e : &ignored) == -1)
		rc = -1;
	cdrfilter_free(f);
	return rc;
}
