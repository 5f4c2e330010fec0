/*
 * hajournal: what was begun, and what came of it.
 *
 * Layer domain.  journal.jsonl in `failover_state_dir`, a line each, fsynced
 * before the step that it tells of: {"at":"2026-11-21T05:17:35.123Z","id":...,
 * "action":"promote","event":"intent|step|done|failed","step":...,"why":...}.
 * The step at work also stands in state.json, so that a node that was killed
 * or lost its power knows at its next start what it was doing; the steps can
 * all be done twice.
 */
#ifndef HAJOURNAL_H
#define HAJOURNAL_H

#include "hastate.h"

struct ha_journal {
	struct ha_kept *kept; /* the caller's, saved with each line */
	int64_t begun_ms;     /* loop_now_ms() */
};

/* A new transition: `kept` gets its id.  `why` is of the plan. */
int ha_journal_begin(struct ha_journal *j, struct ha_kept *kept,
		     enum ha_action action, const char *why, struct verr *e);
/* Before a step.  What is only for people is not fsynced. */
int ha_journal_step(struct ha_journal *j, const char *step, struct verr *e);
/* `failure` is NULL when all went well. */
int ha_journal_end(struct ha_journal *j, const char *failure, struct verr *e);
/* A line that is no transition: "maintenance", "refused". */
int ha_journal_note(const struct ha_kept *kept, const char *action,
		    const char *why, struct verr *e);

/*
 * The lines, oldest first, at most the last `max`; `fn` gets each without its
 * newline.  None is no error.
 */
int ha_journal_read(size_t max, void (*fn)(const char *line, void *arg),
		    void *arg, struct verr *e);

#endif
