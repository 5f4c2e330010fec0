/*
 * worker: slow work beside a loop, in a process of its own.
 *
 * Layer I/O.  worker_start() forks; the child has nothing of the loop but the
 * pipe to which it writes its answer, does not hear SIGTERM or SIGINT, and
 * ends with the status that its function returns.  The parent's loop calls
 * `done` when it has ended, also when it was killed.
 */
#ifndef WORKER_H
#define WORKER_H

#include "buf.h"
#include "loop.h"
#include "verr.h"

/* In the child: appends its answer to `out`; returns an exit status. */
typedef int (*worker_fn)(struct buf *out, void *arg);
/* `status` is -1 when it was killed.  `said` is borrowed. */
typedef void (*worker_done_fn)(int status, const struct buf *said, void *arg);

struct worker;

/* NULL: there is no process to be had (VERR_RETRY).  Freed after `done`. */
struct worker *
worker_start(struct loop *loop, worker_fn fn, void *arg, worker_done_fn done,
	     void *done_arg, struct verr *e);
/* End it now; `done` is called as ever. */
void worker_kill(struct worker *w);
/* Forget it: it goes on, `done` is not called.  NULL-safe. */
void worker_abandon(struct worker *w);

#endif
