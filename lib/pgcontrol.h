/*
 * pgcontrol: stop, start and replace the PostgreSQL of this node.
 *
 * Layer domain.  Its processes are found by their working directory, which is
 * the data directory, and by what service.NAME.kill says; a process that is
 * stopped or hung is killed as well.  Nothing here decides anything.
 */
#ifndef PGCONTROL_H
#define PGCONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "verr.h"

/*
 * No process of it writes any more when this returns 0: SIGQUIT to the
 * postmaster (an immediate shutdown), after `patience_ms` SIGKILL to all.
 * Nothing runs: 0 at once.
 */
int pg_kill(int64_t patience_ms, struct verr *e);
/* All of it stands still, and goes on: what is asked of it waits. */
int pg_freeze(struct verr *e);
int pg_thaw(struct verr *e);
/* Any start from now on is that of a standby, which writes nothing. */
int pg_mark_standby(struct verr *e);
int pg_unmark_standby(struct verr *e);

/* By the verbs of the setting postgresql_service; see services.h. */
int pg_start(struct verr *e);
/* A clean stop: what is committed reaches the standby first. */
int pg_stop(struct verr *e);

#endif
