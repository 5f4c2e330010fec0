#include "dbpool.h"

#include <stdlib.h>

#define POOL_MAX 64
#define BUSY     2 /* requests that wait at each connection */

struct dbpool {
	struct loop *loop;
	struct db *first;
	struct db_options options;
	size_t size; /* without the first */
	size_t count;
	struct db *others[POOL_MAX];
};

static void
set_size(struct dbpool *p, size_t size)
{
	p->size = size ? size - 1 : 0;
	if (p->size > POOL_MAX)
		p->size = POOL_MAX;
}

struct dbpool *
dbpool_new(struct loop *loop, struct db *first,
	   const struct db_options *options, size_t size, struct verr *e)
{
	struct dbpool *p = calloc(1, sizeof(*p));

	if (!p) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	p->loop = loop;
	p->first = first;
	p->options = *options;
	set_size(p, size);
	return p;
}

void
dbpool_free(struct dbpool *p)
{
	if (!p)
		return;
	while (p->count)
		db_free(p->others[--p->count]);
	free(p);
}

static void
ignore(struct db_result *result, const struct verr *e, void *arg)
{
	(void)result;
	(void)e;
	(void)arg;
}

/* A request makes it connect; until it is up nobody waits for it. */
void
dbpool_grow(struct dbpool *p)
{
	struct verr e = VERR_INIT;
	struct db *db;

	if (p->count >= p->size ||
	    (p->count && !db_is_up(p->others[p->count - 1])))
		return;
	db = db_new(&p->options, &e);
	if (!db)
		return;
	p->others[p->count++] = db;
	db_attach(db, p->loop);
	db_send(db, "select 1", 0, NULL, 0, ignore, NULL);
}

struct db *
dbpool_choose(struct dbpool *p)
{
	struct db *best = p->first;

	if (!db_is_up(best))
		return best;
	for (size_t i = 0; i < p->count && i < p->size; i++) {
		if (!db_is_up(p->others[i]))
			continue;
		if (db_pending(p->others[i]) < db_pending(best))
			best = p->others[i];
	}
	if (db_pending(best) >= BUSY)
		dbpool_grow(p);
	return best;
}

size_t
dbpool_up(const struct dbpool *p)
{
	size_t up = 1;

	if (!db_is_up(p->first))
		return up;
	for (size_t i = 0; i < p->count && i < p->size; i++)
		up += db_is_up(p->others[i]);
	return up;
}

void
dbpool_renew(struct dbpool *p, size_t size)
{
	set_size(p, size);
	for (size_t i = 0; i < p->count; i++)
		db_reload(p->others[i]);
}
