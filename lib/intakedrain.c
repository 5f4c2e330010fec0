#include "intakedrain.h"

#include <stdlib.h>

#include "cdrqueue.h"
#include "conf.h"
#include "intake.h"
#include "log.h"
#include "metrics.h"

#define DRAIN_MAX    1000 /* records in one transaction */
#define PAUSE_MS     1000
#define PAUSE_MAX_MS 30000

static void
free_names(struct intake_drain *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->names[i]);
	free(d->names);
	d->names = NULL;
	d->n = 0;
}

static void
drain_later(struct intake_drain *d, int64_t ms)
{
	if (!d->is_under_way && !d->timer.is_set)
		loop_timer_set(d->loop, &d->timer, ms);
}

static void
drain_again(struct intake_drain *d, bool good)
{
	d->is_under_way = false;
	free_names(d);
	if (good) {
		d->pause_ms = PAUSE_MS;
	} else {
		d->pause_ms *= 2;
		if (d->pause_ms > PAUSE_MAX_MS)
			d->pause_ms = PAUSE_MAX_MS;
	}
	if (spool_is_empty(d->spool))
		spool_unlock(d->spool);
	else
		drain_later(d, good ? 0 : d->pause_ms);
}

/* A file that cannot be removed is written again, and then found a duplicate.
 */
static void
remove_names(struct spool *spool, char **names, size_t n)
{
	struct verr e = VERR_INIT;

	for (size_t i = 0; i < n; i++)
		if (spool_remove(spool, names[i], &e) == -1)
			log_error("%s", e.msg);
	metric_add(METRIC_CDR_DRAINED, (int64_t)n);
}

/*
 * What the database refuses for good is found by halving, and becomes a dead
 * letter, or, when it is refused as that too, moves to "bad/".
 */
static void
isolate(struct spool *spool, char **names, size_t n, const struct verr *why,
	size_t *max)
{
	struct verr e = VERR_INIT;

	if (why->kind != VERR_INPUT && why->kind != VERR_CONFLICT)
		return;
	*max = n / 2 ? n / 2 : 1;
	if (n != 1)
		return;
	log_error("'%s' of the spool is refused: %s", names[0], why->msg);
	if (cdrqueue_condemn(spool, names[0], why->msg, &e) == -1)
		log_error("%s", e.msg);
}

static void
on_drained(struct db_result *r, const struct verr *e, void *arg)
{
	struct intake_drain *d = arg;

	if (r) {
		remove_names(d->spool, d->names, d->n);
		d->max = DRAIN_MAX;
		log_info("%zu CDRs of the spool are in the queue", d->n);
	} else {
		if (!*d->spooling)
			log_warning("the spool waits: %s", e->msg);
		isolate(d->spool, d->names, d->n, e, &d->max);
	}
	drain_again(d, r != NULL);
}

static void
on_probed(struct db_result *r, const struct verr *e, void *arg)
{
	struct intake_drain *d = arg;

	(void)e;
	drain_again(d, r != NULL);
}

static int
drain_batch(struct intake_drain *d, struct verr *e)
{
	struct db_param params[CDRQUEUE_PARAMS];
	struct cdrqueue_batch b;
	int rc = -1;

	cdrqueue_init(&b);
	d->names = calloc(DRAIN_MAX, sizeof(*d->names));
	if (!d->names)
		verr_set(e, VERR_RETRY, "out of memory");
	else if (cdrqueue_load(d->spool, &b, d->max, d->names, &d->n, e) == 0)
		rc = 0;
	if (rc == 0 && d->n == 0)
		drain_again(d, true);
	else if (rc == 0 && (rc = cdrqueue_params(&b, params, e)) == 0)
		db_send(d->db, cdrqueue_sql, CDRQUEUE_PARAMS, params,
			conf_ms("database_timeout"), on_drained, d);
	cdrqueue_release(&b);
	return rc;
}

static void
on_drain_timer(void *arg)
{
	struct intake_drain *d = arg;
	struct verr e = VERR_INIT;
	size_t count;
	int64_t bytes;
	int locked;

	d->is_under_way = true;
	if (!db_is_up(d->db)) {
		/* Reading files for a database that is away is of no use. */
		db_send(d->db, "select 1", 0, NULL, 0, on_probed, d);
		return;
	}
	locked = spool_lock(d->spool, &e);
	if (locked == 1 && drain_batch(d, &e) == 0)
		return;
	/* When another one drains, look again whether it is done. */
	if (locked == 0)
		locked = spool_usage(d->spool, &count, &bytes, &e);
	if (locked == -1 || e.kind != VERR_NONE)
		log_error("cannot drain the spool: %s", e.msg);
	drain_again(d, false);
}

void
intake_drain_init(struct intake_drain *d, struct loop *loop, struct db *db,
		  struct spool *spool, const bool *spooling)
{
	*d = (struct intake_drain){
		.loop = loop,
		.db = db,
		.spool = spool,
		.spooling = spooling,
		.timer = { .fn = on_drain_timer, .arg = d },
		.pause_ms = PAUSE_MS,
		.max = DRAIN_MAX,
	};
}

void
intake_drain_later(struct intake_drain *d)
{
	drain_later(d, d->pause_ms);
}

void
intake_drain_now(struct intake_drain *d)
{
	if (spool_is_empty(d->spool) || d->is_under_way)
		return;
	d->pause_ms = PAUSE_MS;
	loop_timer_set(d->loop, &d->timer, 0);
}

void
intake_drain_release(struct intake_drain *d)
{
	if (!d->loop)
		return;
	loop_timer_clear(d->loop, &d->timer);
	free_names(d);
}

/* --- without a loop ---------------------------------------------------- */

/* One transaction's worth; `*n` is 0 when the spool is empty. */
static int
drain_some(struct spool *spool, struct db *db, size_t *max, size_t *n,
	   struct verr *e)
{
	char **names = calloc(*max, sizeof(*names));
	struct cdrqueue_batch b;
	int rc;

	if (!names)
		return verr_set(e, VERR_RETRY, "out of memory");
	cdrqueue_init(&b);
	rc = cdrqueue_load(spool, &b, *max, names, n, e);
	if (rc == 0 && *n && (rc = cdrqueue_write(db, &b, e)) == -1)
		isolate(spool, names, *n, e, max);
	if (rc == 0)
		remove_names(spool, names, *n);
	for (size_t i = 0; i < *n; i++)
		free(names[i]);
	free(names);
	cdrqueue_release(&b);
	return rc;
}

static int
drain_all(struct spool *spool, struct db *db, size_t *drained,
	  void (*progress)(size_t drained), struct verr *e)
{
	size_t max = DRAIN_MAX, n = 1;

	while (n) {
		struct verr why = VERR_INIT;

		if (drain_some(spool, db, &max, &n, &why) == 0) {
			*drained += n;
			if (n && progress)
				progress(*drained);
		} else if (why.kind != VERR_INPUT &&
			   why.kind != VERR_CONFLICT) {
			*e = why;
			return -1;
		}
	}
	return 0;
}

int
intake_drain(size_t *drained, void (*progress)(size_t drained), struct verr *e)
{
	struct spool *spool = intake_open_spool(e);
	struct db_options o = { .retry = DB_RETRY_INTERACTIVE };
	struct db *db = NULL;
	int rc = -1, locked;

	*drained = 0;
	if (!spool)
		return -1;
	locked = spool_lock(spool, e);
	if (locked == 0)
		verr_set(e, VERR_CONFLICT,
			 "another process drains the spool '%s'",
			 conf_str("cdr_spool_dir"));
	if (locked == 1 && spool_clean(spool, e) == 0) {
		cdrqueue_db_options(&o);
		db = db_new(&o, e);
		rc = db ? drain_all(spool, db, drained, progress, e) : -1;
	}
	db_free(db);
	spool_close(spool);
	return rc;
}
