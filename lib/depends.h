/*
 * depends: what an answer was made from, and how long it may be kept.
 *
 * Layer domain.  One table, a row for each kind of lookup (lookup.h): the
 * tables that its answer depends on, and those whose rows it depends on one by
 * one.  A kind without a row of its own depends on everything in its domain.
 * The domain is the question's, in lower case; a question without one depends
 * on all domains.
 */
#ifndef DEPENDS_H
#define DEPENDS_H

#include "answer.h"
#include "cache.h"
#include "db.h"
#include "lookup.h"

enum depends_ttl {
	DEPENDS_TTL_DIRECTORY,
	DEPENDS_TTL_EXTENSION,
	DEPENDS_TTL_COUNT,
};

/* What is known before the answer; the item borrows from `l` and `q`. */
void depends_item(struct cache_item *item, const struct lookup *l,
		  const struct question *q);
/* The rows that the result names: a user who was asked for by a number. */
void depends_result(struct cache_item *item, const struct lookup *l,
		    const struct db_result *result);
/* The same for an item that comes from a file: all that there is is its key. */
void depends_restored(struct cache_item *item);
enum depends_ttl depends_ttl(const struct lookup *l);

#endif
