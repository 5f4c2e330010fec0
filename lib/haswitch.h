/*
 * haswitch: the planned way: the peer becomes the primary, nothing is lost.
 *
 * Layer domain.  ha_cmd_switchover() runs on the primary.  Everything that
 * would stop it is looked at first, and with --dry-run that is all.  Then:
 * drain, services stopped, a clean stop of PostgreSQL, which sends the standby
 * everything; keepalived moves the address, the peer promotes, this node comes
 * back as its standby.  It is done when both nodes say so; when the peer does
 * not take over in `switchover_time`, this node is the primary again.
 */
#ifndef HASWITCH_H
#define HASWITCH_H

#include "verr.h"

extern int ha_dry_run; /* --dry-run */

int ha_cmd_switchover(int argc, const char **argv, struct verr *e);

#endif
