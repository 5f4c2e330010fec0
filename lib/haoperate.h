/*
 * haoperate: the commands of voip-failover by which an operator acts.
 *
 * Layer domain.  Each is a row of the program's table, see opt.h.
 */
#ifndef HAOPERATE_H
#define HAOPERATE_H

#include <stddef.h>
#include <stdint.h>

#include "verr.h"

/* What came of a command, of one node. */
struct ha_told {
	const char *name; /* of the node, or NULL */
	const char *role; /* that it has now, or NULL */
	const char *text; /* for people, a line without its end */
	int64_t timeline; /* 0: none */
};

/* A line each, or with --format a row each. */
int ha_tell(const struct ha_told *told, size_t n, struct verr *e);

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
