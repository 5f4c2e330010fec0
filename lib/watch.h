/*
 * watch: the changes of the directory, as they commit.
 *
 * Layer domain.  watch_run() listens on the primary, since notifications are
 * not replicated, and prints a line for each change (change.h).  It starts with
 * a `resync`, and says `resync` again whenever changes may have been missed:
 * after each new connection, when the reader was slower than WATCH_BACKLOG
 * allows, and for a notification that cannot be understood.  What was
 * committed before the reader got a `resync` can be read from the database.
 *
 * Each `watch_probe` the server is asked whether it still is the primary and
 * still has our LISTEN; one that does not answer in `database_timeout` is
 * dropped, so that a frozen server or a dead line is noticed.
 *
 * It ends with 0 when the reader is gone, and at SIGTERM and SIGINT.  Before
 * the first connection VERR_CONFIG ends it, and VERR_RETRY after
 * `database_wait`; later it tries for ever.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "change.h"
#include "verr.h"

/* Bytes of lines that are kept for a slow reader. */
#define WATCH_BACKLOG (1 << 20)

struct watch_options {
	enum change_format format;
	/* Only these entities, ends with NULL; NULL: all. */
	const char *const *entities;
	const char *domain; /* only of this tenant; NULL: all */
	long count;         /* end after so many changes; 0: never */
	/* End after this time; 0: never.  VERR_NOTFOUND when `count` changes
	 * were waited for and fewer came. */
	int64_t timeout_ms;
	int fd; /* what the lines go to; borrowed */
};

int watch_run(const struct watch_options *o, struct verr *e);

#endif
