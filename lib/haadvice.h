/*
 * haadvice: how the pair is, in a word, and what to do about it.
 *
 * Layer domain.  Pure, like the plan: a table over what both nodes are.  Each
 * row ends with the command that helps, or says that none is needed.
 */
#ifndef HAADVICE_H
#define HAADVICE_H

#include "hafacts.h"

struct ha_advice {
	const char *word; /* "well", "degraded", "down", "split", "paused" */
	char text[256];
};

void ha_advise(const struct ha_outcome *o, struct ha_advice *a);

#endif
