/*
 * hanotify: a word of keepalived by a process, for a keepalived without a FIFO.
 *
 * Layer domain.  keepalived starts a process for each change of state and does
 * not wait for it: they run at the same time, in any order.  The one that was
 * started last is right, see pairfile_tell_vrrp_of(); whoever comes later than
 * a younger one does nothing.
 */
#ifndef HANOTIFY_H
#define HANOTIFY_H

#include "verr.h"

/* TYPE NAME STATE PRIORITY; a row of the table of voip-failover, see opt.h. */
int ha_cmd_notify(int argc, const char **argv, struct verr *e);

#endif
