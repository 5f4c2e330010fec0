/*
 * snapshot: the last good answers survive a restart.
 *
 * Layer domain.  In the folder `dirxml_state_dir` (0700, ours), the file
 * "snapshot" (0600) is replaced as a whole: written under another name by a
 * child process, so that nobody waits for the disk, fsynced and renamed.  Each
 * `dirxml_snapshot_interval`, when there is something new, and at the end.
 *
 * A snapshot that cannot be written costs nothing but itself, one that cannot
 * be read is ignored; both are logged.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache.h"
#include "loop.h"
#include "verr.h"

struct snapshot;

/*
 * Reads what is there into `cache`, nothing of it fresh.  `loop` and `cache`
 * are borrowed.  NULL when there is no memory; the caller frees it with
 * snapshot_free().
 */
struct snapshot *
snapshot_new(struct loop *loop, struct cache *cache, struct verr *e);
/* Begin to write from time to time, and at the end. */
void snapshot_start(struct snapshot *s);
/* Writes for the last time, when it was started. */
void snapshot_free(struct snapshot *s);
/* The settings were read anew. */
void snapshot_reload(struct snapshot *s);

/* Of the file as it is now; -1: none. */
int64_t snapshot_age_seconds(const struct snapshot *s);

#endif
