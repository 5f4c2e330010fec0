/*
 * snapshotfile: the answers of a cache in a file.
 *
 * Layer domain.  What is in it is complete or it is not read at all: each
 * record's checksum is made under the one before it, the first under the
 * version of this program, and the last record says how many there are.  So a
 * file that was cut, changed, put together or written by another version is
 * refused with VERR_INPUT.  (The checksum finds accidents.  Who can write the
 * file could make one that is right: it belongs to us, mode 0600.)
 *
 * No secret is in it in clear: an answer that holds one is sealed (secret.h),
 * and left out when that is not possible.  Answers that say "there is none"
 * are left out too.  Times are of the real clock, in ms.
 *
 * File, numbers little-endian: the line of SNAPSHOT_MAGIC; for each answer
 * u32 lengths of key, domain and document, u32 tables, u32 flags, u32 time to
 * live, i64 when it was confirmed, the three texts, u64 checksum; at the end a
 * head of zeros but for the number of answers in the place of the time.
 */
#ifndef SNAPSHOTFILE_H
#define SNAPSHOTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "cache.h"
#include "verr.h"

#define SNAPSHOT_MAGIC "voip-dirxml snapshot 1\n"

/*
 * Write the answers of `cache` that were confirmed after `oldest_ms` (of the
 * cache's clock) to `fd`.  `offset_ms` is what the real clock is ahead of the
 * cache's.
 */
int snapshotfile_write(int fd, const struct cache *cache, int64_t oldest_ms,
		       int64_t offset_ms, struct verr *e);

/* `item` is borrowed for the call; its times are of the real clock. */
typedef void (*snapshotfile_fn)(const struct cache_item *item, void *arg);

/* Check all, then call `fn` for each answer, in the order of the file. */
int snapshotfile_parse(const void *data, size_t len, snapshotfile_fn fn,
		       void *arg, struct verr *e);

#endif
