/*
 * feed: lines to a reader that may be slow, or go away.
 *
 * Layer I/O.  Nothing here waits for the reader: what a descriptor does not
 * take at once is kept, at most `max` bytes of it, and goes out when the loop
 * says that there is room.  When a line does not fit any more, the caller
 * decides what that means: it may forget the lines that wait and add another
 * one in their place.  The reader only ever gets whole lines, in order.
 *
 * The descriptor is watched also while nothing waits, so the end of the reader
 * is told at once.  It is not made non-blocking, since other processes may
 * have it too (a terminal): it is written to when poll(2) says that there is
 * room, PIPE_BUF bytes at a time, which a pipe then takes without waiting.
 * Regular files, which no reader leaves, are written to as they are.
 *
 * SIGPIPE must be ignored.
 */
#ifndef FEED_H
#define FEED_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

/*
 * The feed ended: `e` is NONE when the reader went away, else it says why
 * nothing can be written (disk full).  The feed takes no more lines.
 */
typedef void (*feed_end_fn)(const struct verr *e, void *arg);

struct feed {
	struct loop *loop;
	int fd;
	size_t max;
	feed_end_fn fn;
	void *arg;
	struct buf waiting;
	size_t done;   /* bytes of it that were written */
	bool mid_line; /* the line at `done` was begun */
	bool watched;  /* false: a regular file */
	bool wants;    /* the loop is asked for room */
	bool ended;
};

/* `fd` is borrowed.  Zero-initialised it may be released. */
int feed_init(struct feed *f, struct loop *loop, int fd, size_t max,
	      feed_end_fn fn, void *arg, struct verr *e);
void feed_release(struct feed *f);

/*
 * Add whole lines.  False when they do not fit, or there is no memory.
 * `fn` may be called from within.
 */
bool feed_add(struct feed *f, const char *lines, size_t len);

/* Forget what waits; the rest of a line that was begun stays. */
void feed_forget(struct feed *f);

bool feed_is_empty(const struct feed *f);

#endif
