/*
 * hasplit: voip-failover split-brain show and salvage.
 *
 * Layer domain.  Whether the two nodes have one history, what only this node
 * has, and bringing that to safety by hand, also from an old data directory
 * that was kept.
 */
#ifndef HASPLIT_H
#define HASPLIT_H

#include "verr.h"

/* A struct opt_command's. */
int ha_cmd_split_brain(int argc, const char **argv, struct verr *e);

#endif
