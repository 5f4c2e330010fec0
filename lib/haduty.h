/*
 * haduty: what this node runs besides PostgreSQL, by what it is.
 *
 * Layer domain.  A primary runs `failover_services`, a standby
 * `standby_services`; a service in both lists goes on running when one becomes
 * the other.  A node that was stopped runs what is in both.
 *
 * What was done last is in the file "services" of `health_dir`, which a reboot
 * clears: {"duty":"primary","at":...,"services":{"kamailio":"running"},
 * "recover":"done"}.  A node whose file says something else than what it is now
 * was cut off, or has just been switched on: the next transition sees to it.
 */
#ifndef HADUTY_H
#define HADUTY_H

#include <stdbool.h>

#include "hastate.h"

enum ha_duty {
	HA_DUTY_UNKNOWN, /* nothing was done since the node came up */
	HA_DUTY_NONE,
	HA_DUTY_STANDBY,
	HA_DUTY_PRIMARY,
	HA_DUTIES,
};

/*
 * Stop what `duty` does not run, the last first, then start what it does, in
 * order.  What does not stop is told and passed over, and is the error of
 * HA_DUTY_NONE only; what does not start is the error, and what was started
 * before it is stopped again.  Then each is asked whether it runs.
 */
int ha_duty_take(enum ha_duty duty, struct verr *e);

/* After a promotion: FreeSWITCH takes over the calls of its shared database.
 * VERR_RETRY when it does not answer in `service_timeout`. */
int ha_duty_recover(struct verr *e);

/* What was taken last. */
enum ha_duty ha_duty_now(void);
/* What a node in this state runs; HA_DUTY_UNKNOWN: leave it as it is. */
enum ha_duty ha_duty_of(const struct ha_state *s);
bool ha_duty_is_due(const struct ha_state *s);

/* Each service of the duty that was taken last: "running", "stopped" or
 * "unknown" when it was asked. */
void ha_duty_each(void (*fn)(const char *name, const char *state, void *arg),
		  void *arg);
/* The same as one line: "kamailio running, freeswitch stopped". */
void ha_duty_text(struct buf *b);

#endif
