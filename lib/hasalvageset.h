/*
 * hasalvageset: the files of one salvage.
 *
 * Layer domain.  They are made in salvage/NAME.part and get their name when
 * all of them and manifest.json are on the disk; what lies there as .part was
 * cut off, and goes when the next one begins: the directory that it came from
 * is still there.
 */
#ifndef HASALVAGESET_H
#define HASALVAGESET_H

#include <limits.h>
#include <stdio.h>

#include "hasalvage.h"

struct hasalvageset {
	char path[PATH_MAX - 8]; /* as it will be called */
	char part[PATH_MAX];     /* "" when it is over */
	FILE *files[HA_LOST_COUNT];
};

/* VERR_RETRY: disk full; VERR_CONFIG: failover_state_dir cannot be written.
 * hasalvageset_release() is called in any case, and removes what was not
 * ended. */
int
hasalvageset_begin(struct hasalvageset *set, uint32_t timeline, struct verr *e);
int hasalvageset_add(struct hasalvageset *set, enum ha_lost_relation r,
		     const struct buf *line, struct verr *e);
/* Durable, with its name in `s->path`. */
int hasalvageset_end(struct hasalvageset *set, struct ha_salvage *s,
		     const char *directory, const char *digest, struct verr *e);
void hasalvageset_release(struct hasalvageset *set);

/* 1: `s` is filled from the set that was made when pg_control had this
 * digest; 0: there is none. */
int hasalvageset_find(const char *digest, struct ha_salvage *s, struct verr *e);

/* "3 cdr, 1 cdr_queue", or that there is none. */
void
ha_salvage_words(char *words, size_t size, const struct ha_lost_counts *lost);

/* The sets of files with rows, the oldest first; `waits`: not all of its CDRs
 * were imported.  Borrowed for the call.  None is no error. */
typedef void (*ha_salvage_fn)(const char *path, const char *words, bool waits,
			      void *arg);
int ha_salvage_list(ha_salvage_fn fn, void *arg, struct verr *e);

#endif
