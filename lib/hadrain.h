/*
 * hadrain: a planned stop loses no call, and no record of one.
 *
 * Layer domain.  drain_command tells the site to take no new calls,
 * drain_count prints how many go on, drain_undo takes calls again.  When the
 * calls have ended, or drain_time is over, the records of them get
 * service_timeout to leave this node: the files of cdr_spool_dir, and what
 * drain_records prints, such as the queue of FreeSWITCH, which drops it at its
 * stop.  Each command is empty when there is nothing to do.
 */
#ifndef HADRAIN_H
#define HADRAIN_H

#include <stdbool.h>

#include "verr.h"

struct ha_drained {
	long calls, records; /* that are left */
};

/* Now; calls are not counted when drain_count is empty. */
int ha_drain_count(struct ha_drained *left, struct verr *e);
/* Those that are left are logged, and no error. */
int ha_drain(struct verr *e);
int ha_drain_undo(struct verr *e);

/*
 * The same for a node that has lost the address, without waiting: true as long
 * as its services are to go on.  The first call runs drain_command; when that
 * was is in the file "drain" of `health_dir`.
 */
bool ha_drain_goes_on(void);
/* Whether there is anything to wait for. */
bool ha_drain_takes_time(void);

#endif
