/*
 * hahistory: the journal, for people and for pipes.
 *
 * Layer domain.  Rows of at, action, event, step, ms, why; `jsonl` and `json`
 * are the lines of the journal as they are, with all that stands in them.
 */
#ifndef HAHISTORY_H
#define HAHISTORY_H

#include "verr.h"

int ha_cmd_history(int argc, const char **argv, struct verr *e);

#endif
