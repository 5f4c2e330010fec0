/*
 * changes: what the database tells becomes what the cache forgets.
 *
 * Layer domain.  A change that names a row revokes the answers made of it at
 * once.  What else a change makes old, all that depends on its table in its
 * domain, can be much: the first such change counts at once, and those of the
 * following CHANGES_PAUSE_MS together when that is over, however many there
 * were.
 */
#ifndef CHANGES_H
#define CHANGES_H

#include "cache.h"
#include "change.h"
#include "loop.h"
#include "verr.h"

#define CHANGES_PAUSE_MS 100

struct changes;

/* `loop` and `cache` are borrowed; the caller frees it with changes_free(). */
struct changes *
changes_new(struct loop *loop, struct cache *cache, struct verr *e);
void changes_free(struct changes *c);
void changes_note(struct changes *c, const struct change *change);

#endif
