/*
 * filereplace: a small file that is always whole.
 *
 * Layer I/O.  The text is written to a temporary file beside it, which then
 * takes its place: a reader finds the old text or the new one, also after a
 * power cut when `durable`.
 */
#ifndef FILEREPLACE_H
#define FILEREPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "verr.h"

/* VERR_RETRY: disk full; VERR_CONFIG: no such directory, no right to write. */
int file_replace(const char *path, const char *text, size_t len, mode_t mode,
		 bool durable, struct verr *e);

/*
 * Append what the file holds, at most `limit` bytes: more is VERR_INPUT.  A
 * missing file is VERR_NOTFOUND.
 */
int file_read(const char *path, size_t limit, struct buf *out, struct verr *e);

/* It can be read, and holds this text alone. */
bool file_has(const char *path, const char *text);

#endif
