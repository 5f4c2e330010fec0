/*
 * health: every probe at its interval, the verdict, and their HTTP face.
 *
 * Layer domain.  Each probe that could wait runs in a process of its own, which
 * is killed when its time is over, so the verdict never waits.  A probe counts
 * as failed after `fall` failures in a row and as well again after `rise`
 * successes; a postmaster that ends is seen at once (pidfd), and is a failure
 * at once.
 *
 * Unfit is a node on which a probe of class local fatal counts as failed.  When
 * the peer could not do the work any better, the node stays fit ("held"):
 * moving would help nobody.  One without PostgreSQL must have the address for
 * that: it keeps it, and never gets it.  Everything else is told and changes
 * nothing.
 *
 * While it serves, the verdict is written (see verdict.h) on every change and
 * once a second, with all that was found as health.json beside it.  At the end
 * the verdict is removed, so that a restart moves nothing, but a service that
 * stays away does; and nothing is written before each fatal probe has had its
 * say, nor while another one writes in the same directory.
 */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>
#include <stdio.h>

#include "buf.h"
#include "httpd.h"
#include "out.h"
#include "probe.h"
#include "verdict.h"

#define HEALTH_VALID_MS INT64_C(3000)

struct health {
	struct probe_result results[PROBES_MAX];
	int failures[PROBES_MAX];  /* in a row */
	int successes[PROBES_MAX]; /* in a row */
	bool faulty[PROBES_MAX];   /* it counts */
	int64_t since[PROBES_MAX]; /* of its state, seconds since the epoch */
	enum probe_role role;      /* of PostgreSQL while it is not faulty */
	char lsn[24]; /* of the primary that it was when it was seen last */
	uint64_t taken[PROBES_MAX], failed[PROBES_MAX]; /* in all */
	int64_t timeline;            /* as it was seen last */
	char history[PROBE_HISTORY]; /* likewise */
};

/* --- judging ---------------------------------------------------------- */

/* Count a result, of which `at` and `took_ms` are set. */
void health_take(struct health *h, size_t probe, const struct probe_result *r);
/* Of each fatal probe it is known whether it is well. */
bool health_is_settled(const struct health *h);
void health_judge(const struct health *h, struct verdict *v);
/*
 * "database=failed", "pg=down": for what would happen; VERR_USAGE.  The word is
 * the name of a probe, or "pg" for "database" and "sip" for "kamailio"; the
 * state that of a probe, or "up", "down", "degraded".
 */
int health_simulate(struct health *h, const char *assignment, struct verr *e);
/* PostgreSQL's row, when it was seen lately; or NULL. */
const struct pgnode *health_node(const struct health *h);
/* What belongs to it; all zero without. */
const struct probe_server *health_server(const struct health *h);

/* --- telling ---------------------------------------------------------- */

/* The whole of it, one line of JSON. */
void health_json(struct buf *b, const struct health *h);
/* As Patroni tells: a node, the pair, the history of its timelines. */
void health_patroni_json(struct buf *b, const struct health *h);
void health_cluster_json(struct buf *b, const struct health *h);
void health_history_json(struct buf *b, const struct health *h);
void health_metrics(struct buf *b, const struct health *h);
void health_patroni_metrics(struct buf *b, const struct health *h);
/* A primary that has the virtual address, where there is one. */
bool health_is_primary(const struct health *h);
/* A standby that the primary waits for, `*quorum`: for it or another. */
bool health_is_synchronous(const struct health *h, bool *quorum);

int health_print(const struct health *h, FILE *file, enum out_format format,
		 struct verr *e);
/* A line for each that is not well: what to do. */
void health_print_remedies(const struct health *h);
/* One line for Nagios and its kind; `*status` is 0, 1 or 2. */
int health_print_nagios(const struct health *h, int *status, struct verr *e);
/* What the verdict means for the address, one line. */
void health_print_outcome(const struct health *h);

/* --- running ---------------------------------------------------------- */

/* Run all of them at the same time, once. */
int health_probe_all(struct health *h, struct verr *e);

/* `arg` is that of health_start(). */
extern const struct http_route health_routes[];

int health_start(struct loop *loop, void **arg, struct verr *e);
void health_stop(void *arg);

#endif
