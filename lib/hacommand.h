/*
 * hacommand: the commands of voip-failover that decide or tell.
 *
 * Layer domain.  Each is a row of the program's table, see opt.h.
 */
#ifndef HACOMMAND_H
#define HACOMMAND_H

#include "verr.h"

extern int ha_dot;          /* --dot */
extern int ha_steps_wanted; /* --steps */

int ha_cmd_demote(int argc, const char **argv, struct verr *e);
int ha_cmd_explain(int argc, const char **argv, struct verr *e);
int ha_cmd_table(int argc, const char **argv, struct verr *e);

#endif
