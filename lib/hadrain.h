/*
 * hadrain: a planned stop loses no call.
 *
 * Layer domain.  drain_command tells the site to take no new calls,
 * drain_count prints how many go on, drain_undo takes calls again.  Each is
 * empty when there is nothing to do.
 */
#ifndef HADRAIN_H
#define HADRAIN_H

#include "verr.h"

/* The first number that drain_count prints; 0 when it is empty. */
int ha_drain_count(long *calls, struct verr *e);
/* Waits for the end of the calls, at most drain_time; those that are left are
 * in `*calls`, and that is no error. */
int ha_drain(long *calls, struct verr *e);
int ha_drain_undo(struct verr *e);

#endif
