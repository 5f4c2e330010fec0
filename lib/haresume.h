/*
 * haresume: every step of every transition, and what a node does that was
 * killed in it.
 *
 * Layer domain.  A step stands in state.json before it is done, so a node that
 * was killed, or lost its power, finds there what it was doing.  Each step can
 * be done twice: what a row says is brought about by the plan, which is asked
 * anew, by haduty, which finds that the services are not those of what the node
 * is now, and by ha_resume().  `voip-failover table --steps` prints the rows;
 * a test kills the program at each of them.
 */
#ifndef HARESUME_H
#define HARESUME_H

#include "hastate.h"

struct ha_step {
	enum ha_action action;
	const char *step;
	bool undo;        /* what was prepared is taken back */
	const char *then; /* one line, for people */
};

/* Ends with a NULL `step`. */
extern const struct ha_step ha_steps[];

/*
 * What the plan would not do by itself, for a node that was killed at
 * `kept->doing`; notes that in the journal and clears it there.  The caller
 * has the lock.
 */
int ha_resume(struct ha_kept *kept, struct verr *e);

#endif
