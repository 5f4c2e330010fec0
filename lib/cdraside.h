/*
 * cdraside: a file that was imported, out of the way of the next run.
 *
 * Layer domain.  It moves into a folder below the directory that is imported,
 * made when it is missing, with the directory's group and its rights: who may
 * remove files from the directory (voip-prune) may remove them there.  What has
 * the name already is never overwritten; the newcomer is NAME.2.cdr.json.
 */
#ifndef CDRASIDE_H
#define CDRASIDE_H

#include <sys/stat.h>

#include "verr.h"

/*
 * `path` into `directory`/`folder`; one that is gone is nobody's loss.
 * VERR_CONFLICT: it is not the one, or not as long, as when `as_read` was
 * taken, so it stays.  VERR_CONFIG: it could not be moved.
 */
int cdraside_move(const char *directory, const char *folder, const char *path,
		  const struct stat *as_read, struct verr *e);

#endif
