/*
 * command: run a program of the settings, with a deadline.
 *
 * Layer I/O.  The text is split into words at spaces, with '...' and "..." to
 * keep them together; no shell, no expansion.  The program gets /dev/null as
 * its standard input and a process group of its own, which is killed when the
 * time is over, so that nothing of it stays behind; it ends with whoever runs
 * it, too, but what it left in the background does not.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdint.h>

#include "buf.h"
#include "verr.h"

#define COMMAND_WORDS 64

/*
 * `extra` (NULL-terminated, may be NULL) are further arguments, `environment`
 * further variables ("NAME=value", may be NULL).  What it printed on both
 * outputs is appended to `said` (may be NULL), at most 8 KiB.  The exit status,
 * 128 + the signal that ended it, or -1: it could not be run (VERR_CONFIG) or
 * took too long (VERR_RETRY).
 */
int command_run(const char *text, const char *const *extra,
		const char *const *environment, int64_t timeout_ms,
		struct buf *said, struct verr *e);

/* The same for a list of words, which ends with NULL. */
int command_run_words(const char *const *words, const char *const *environment,
		      int64_t timeout_ms, struct buf *said, struct verr *e);

/*
 * The same, and `fn` gets each whole line of both outputs as it comes, however
 * many there are; borrowed for the call.
 */
typedef void (*command_line_fn)(char *line, void *arg);
int command_run_lines(const char *const *words, const char *const *environment,
		      int64_t timeout_ms, command_line_fn fn, void *arg,
		      struct verr *e);

#endif
