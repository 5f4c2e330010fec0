/*
 * dbpool: more connections to the server that one connection has found.
 *
 * Layer I/O.  For questions only: each statement goes to whichever connection
 * has the least to do.  The first connection is the program's own, with what
 * only it has (LISTEN); the others are made when it is busy, and only count
 * while it is up.  When it comes back from a failure, the others look for
 * their server anew, too.
 */
#ifndef DBPOOL_H
#define DBPOOL_H

#include <stddef.h>

#include "db.h"

struct dbpool;

/*
 * At most `size` connections, the first among them; both arguments are
 * borrowed, and `options` go for the others.  NULL: why is in `e`.  The caller
 * frees it with dbpool_free(), before `first`.
 */
struct dbpool *
dbpool_new(struct loop *loop, struct db *first,
	   const struct db_options *options, size_t size, struct verr *e);
/* What is under way ends with VERR_RETRY. */
void dbpool_free(struct dbpool *p);

/* For the next db_send(). */
struct db *dbpool_choose(struct dbpool *p);
/* How many can be asked now; the first counts always. */
size_t dbpool_up(const struct dbpool *p);
/* All of them are busy, and more is to be asked. */
void dbpool_grow(struct dbpool *p);
/* The first connection is up again, or the settings were read anew. */
void dbpool_renew(struct dbpool *p, size_t size);

#endif
