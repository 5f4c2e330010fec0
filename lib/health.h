/*
 * health: the results of all probes, the verdict, and their HTTP face.
 *
 * Layer domain.  Unhealthy is a node on which a probe of class local fatal
 * failed; everything else is told and changes nothing.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>
#include <stdio.h>

#include "httpd.h"
#include "out.h"
#include "probe.h"

struct health {
	struct probe_result results[PROBE_COUNT];
};

void health_probe_all(struct health *h);
/* The first probe that makes the node unhealthy, or NULL. */
const struct probe *health_fault(const struct health *h);
enum probe_role health_role(const struct health *h);

int health_print(const struct health *h, FILE *file, enum out_format format,
		 struct verr *e);

/* /health /livez /readyz /primary /replica /metrics; `arg` of health_start().
 */
extern const struct http_route health_routes[];

/* Probe in the loop, each at its interval. */
int health_start(struct loop *loop, void **arg, struct verr *e);
void health_stop(void *arg);

#endif
