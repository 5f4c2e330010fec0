/*
 * health: every probe at its interval, the verdict, and their HTTP face.
 *
 * Layer domain.  Each probe runs in a process of its own, which is killed when
 * its time is over, so the verdict never waits.  Unfit is a node on which a
 * probe of class local fatal has failed as often in a row as its row says; a
 * postmaster that ends is seen at once (pidfd), and is a failure at once.
 * Everything else is told and changes nothing.
 *
 * While it serves, the verdict is written (see verdict.h) on every change and
 * once a second; at the end it is removed, so that a restart moves nothing,
 * but a service that stays away does.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>
#include <stdio.h>

#include "httpd.h"
#include "out.h"
#include "probe.h"

struct health {
	struct probe_result results[PROBES_MAX];
	int failures[PROBES_MAX]; /* in a row */
};

/* Run all of them at the same time, once. */
int health_probe_all(struct health *h, struct verr *e);
/* "database=failed", for what would happen; VERR_USAGE. */
int health_simulate(struct health *h, const char *assignment, struct verr *e);
/* The first probe that makes the node unfit, or NULL. */
const struct probe *health_fault(const struct health *h);
enum probe_role health_role(const struct health *h);

int health_print(const struct health *h, FILE *file, enum out_format format,
		 struct verr *e);

/* `arg` is that of health_start(). */
extern const struct http_route health_routes[];

int health_start(struct loop *loop, void **arg, struct verr *e);
void health_stop(void *arg);

#endif
