/*
 * haadvice: how the pair is, in a word, and what to do about it.
 *
 * Layer domain.  A table over what both nodes are, and whether this node's
 * service runs.  Each row ends with the command that helps, or says that none
 * is needed.
 */
#ifndef HAADVICE_H
#define HAADVICE_H

#include "hafacts.h"

struct ha_advice {
	const char *word; /* "well", "degraded", "down", "split", "paused" */
	char text[640];
};

void ha_advise(const struct ha_outcome *o, struct ha_advice *a);

#endif
