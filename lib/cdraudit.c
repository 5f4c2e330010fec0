#include "cdraudit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdr.h"
#include "cdrfiles.h"
#include "conf.h"
#include "intake.h"
#include "log.h"
#include "progress.h"
#include "spool.h"

#define BATCH 500

/* A leg of the batch at work. */
struct leg {
	const char *file;
	char node[256];
	char leg_uuid[260];
	char start_time[40];
};

struct audit {
	struct db *db;
	struct leg legs[BATCH];
	size_t count;
	char **spooled; /* uuids, sorted */
	size_t nspooled;
	cdraudit_fn fn;
	void *arg;
};

/*
 * The queue is known by the uuid of its request; FreeSWITCH always gives it,
 * and a_ before it is the file's, not the leg's.
 */
static const char places_sql[] =
	"with leg as (select * from unnest($1::text[], $2::text[])"
	" with ordinality as t (uuid, start, i)),"
	" queued as (select distinct regexp_replace(query_uuid, '^a_', '')"
	" as uuid from voip.cdr_queue where query_uuid is not null)"
	" select case"
	" when exists (select from voip.cdr as c where c.leg_uuid = leg.uuid"
	" and c.start_time = leg.start::timestamptz) then 0"
	" when exists (select from voip.cdr_dead as d"
	" where d.leg_uuid = leg.uuid"
	" or regexp_replace(d.query_uuid, '^a_', '') = leg.uuid) then 1"
	" when exists (select from queued as q where q.uuid = leg.uuid) then 2"
	" else 4 end from leg order by i";

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
is_spooled(const struct audit *a, const char *uuid)
{
	return a->nspooled && bsearch(&uuid, a->spooled, a->nspooled,
				      sizeof(*a->spooled), by_text);
}

/* --- the batch -------------------------------------------------------- */

static void
tell(struct audit *a, const struct db_result *r)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct leg *l = &a->legs[i];
		int place = atoi(db_value(r, (int)i, 0));

		if (place == CDRAUDIT_MISSING && is_spooled(a, l->leg_uuid))
			place = CDRAUDIT_SPOOLED;
		a->fn(&(struct cdraudit_leg){ l->file, l->node, l->leg_uuid,
					      l->start_time,
					      (enum cdraudit_place)place },
		      a->arg);
	}
}

static int
look_up(struct audit *a, struct verr *e)
{
	struct buf uuids = BUF_INIT, starts = BUF_INIT;
	struct db_result *r = NULL;
	int rc = -1;

	if (!a->count)
		return 0;
	db_array_begin(&uuids, DB_ARRAY_TEXT);
	db_array_begin(&starts, DB_ARRAY_TEXT);
	for (size_t i = 0; i < a->count; i++) {
		const struct leg *l = &a->legs[i];

		db_array_add(&uuids, l->leg_uuid, strlen(l->leg_uuid));
		db_array_add(&starts, l->start_time, strlen(l->start_time));
	}
	db_array_end(&uuids);
	db_array_end(&starts);
	if (buf_failed(&uuids) || buf_failed(&starts))
		verr_set(e, VERR_RETRY, "out of memory");
	else
		rc = db_query(a->db, &r, places_sql, 2,
			      (struct db_param[]){
				      DB_BYTES(uuids.data, uuids.len),
				      DB_BYTES(starts.data, starts.len) },
			      e);
	if (rc == 0)
		tell(a, r);
	a->count = 0;
	db_result_free(r);
	buf_release(&uuids);
	buf_release(&starts);
	return rc;
}

static bool
is_same(const struct leg *a, const struct leg *b)
{
	return strcmp(a->leg_uuid, b->leg_uuid) == 0 &&
	       strcmp(a->start_time, b->start_time) == 0;
}

static int
add_leg(struct audit *a, const char *file, const struct cdr *c, struct verr *e)
{
	struct leg *l = &a->legs[a->count];

	l->file = file;
	snprintf(l->node, sizeof(l->node), "%s",
		 c->value[CDR_NODE] ? c->value[CDR_NODE] : "");
	snprintf(l->leg_uuid, sizeof(l->leg_uuid), "%s",
		 c->value[CDR_LEG_UUID]);
	snprintf(l->start_time, sizeof(l->start_time), "%s",
		 c->value[CDR_START_TIME]);
	for (size_t i = a->count; i-- > 0;)
		if (is_same(&a->legs[i], l))
			return 0;
	return ++a->count == BATCH ? look_up(a, e) : 0;
}

/* --- files ------------------------------------------------------------ */

static bool
read_file(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd == -1 ? -1 : 1;

	buf_clear(b);
	while (n > 0 && b->len <= INTAKE_BODY_MAX && buf_reserve(b, 65536)) {
		n = read(fd, b->data + b->len, 65536);
		b->len += n > 0 ? (size_t)n : 0;
	}
	if (fd != -1)
		close(fd);
	return n == 0;
}

static int
read_files(struct audit *a, const struct cdrfiles *files, size_t *unreadable,
	   struct verr *e)
{
	struct buf body = BUF_INIT;
	struct cdr c = { 0 };
	struct progress p;
	int rc = 0;

	progress_begin(&p, "audit", "files", files->count);
	for (size_t i = 0; rc == 0 && i < files->count; i++) {
		struct verr why = VERR_INIT;

		if (!read_file(files->paths[i], &body))
			verr_set(&why, VERR_INPUT, "it cannot be read");
		else if (cdr_parse(&c, body.data, body.len, &why) == 0)
			rc = add_leg(a, files->paths[i], &c, e);
		if (why.kind != VERR_NONE) {
			log_warning("'%s': %s", files->paths[i], why.msg);
			++*unreadable;
		}
		progress_add(&p, 1);
	}
	progress_end(&p);
	if (rc == 0)
		rc = look_up(a, e);
	cdr_release(&c);
	buf_release(&body);
	return rc;
}

/* --- the spool -------------------------------------------------------- */

/* The uuids in the spool; who may not read it is told so. */
static int
read_spool(struct audit *a, struct verr *e)
{
	const char *path = conf_str("cdr_spool_dir");
	struct spool *spool = NULL;
	struct cdr c = { 0 };
	char **names = NULL;
	size_t n = 0;
	int rc = -1;

	if (access(path, R_OK | W_OK | X_OK) == -1) {
		log_warning("the spool '%s' cannot be read: %m", path);
		return 0;
	}
	spool = spool_open(path, 0, e);
	if (!spool || spool_list(spool, SIZE_MAX, &names, &n, e) == -1)
		goto out;
	a->spooled = calloc(n + 1, sizeof(*a->spooled));
	for (size_t i = 0; a->spooled && i < n; i++) {
		struct spool_record r;
		struct verr ignored = VERR_INIT;

		if (spool_read(spool, names[i], &r, &ignored) == -1) {
			if (ignored.kind == VERR_INPUT)
				spool_record_release(&r);
			continue;
		}
		if (cdr_parse(&c, r.body, r.body_len, &ignored) == 0)
			a->spooled[a->nspooled] = strdup(c.value[CDR_LEG_UUID]);
		a->nspooled += a->spooled[a->nspooled] != NULL;
		spool_record_release(&r);
	}
	rc = a->spooled ? 0 : verr_set(e, VERR_RETRY, "out of memory");
	if (a->nspooled)
		qsort(a->spooled, a->nspooled, sizeof(*a->spooled), by_text);
out:
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	cdr_release(&c);
	spool_close(spool);
	return rc;
}

int
cdraudit_run(struct db *db, const char *directory, cdraudit_fn fn, void *arg,
	     size_t *unreadable, struct verr *e)
{
	static const char *const aside[] = { "imported", "refused", NULL };
	struct cdrfiles files = { NULL, 0, 0 };
	struct audit *a = calloc(1, sizeof(*a));
	int rc = -1;

	if (!a)
		return verr_set(e, VERR_RETRY, "out of memory");
	a->db = db;
	a->fn = fn;
	a->arg = arg;
	if (cdrfiles_list(&files, directory, aside, e) == 0 &&
	    read_spool(a, e) == 0)
		rc = read_files(a, &files, unreadable, e);
	for (size_t i = 0; i < a->nspooled; i++)
		free(a->spooled[i]);
	free(a->spooled);
	free(a);
	cdrfiles_release(&files);
	return rc;
}
