/*
 * haoperate: the commands of voip-failover by which an operator acts.
 *
 * Layer domain.  Each is a row of the program's table, see opt.h.
 */
#ifndef HAOPERATE_H
#define HAOPERATE_H

#include "verr.h"

/* Their options. */
extern const char *ha_policy; /* --policy */
extern const char *ha_for;    /* --for */
extern const char *ha_reason; /* --reason */

/* Of a pair: with its journal, services and checks. */
int ha_cmd_promote(struct verr *e);
int ha_cmd_rejoin(int argc, const char **argv, struct verr *e);
int ha_cmd_fence(int argc, const char **argv, struct verr *e);
int ha_cmd_unfence(int argc, const char **argv, struct verr *e);
int ha_cmd_maintenance(int argc, const char **argv, struct verr *e);
/* For ExecCondition= of PostgreSQL's unit: 1 unless it may start now. */
int ha_cmd_may_start(int argc, const char **argv, struct verr *e);

#endif
