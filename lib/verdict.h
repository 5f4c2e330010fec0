/*
 * verdict: is this node fit?  Told by voip-healthd, asked by keepalived.
 *
 * Layer I/O; needs nothing but libc and conf, since `voip-health check` is run
 * each second.  Two files in `health_dir`:
 *
 *   health   "0" or "1": keepalived's track_file, where all but 0 is FAULT
 *   verdict  one line: "1 AT VALID FIT ROLE VIP CAUSE", AT in milliseconds of
 *            CLOCK_BOOTTIME (a jump of the clock changes nothing), VALID how
 *            long it may be believed, FIT "fit", "held"
 *            (unfit, but the peer is worse) or "unfit", ROLE "primary",
 *            "standby" or "none", VIP 0 or 1, CAUSE the rest, for people
 *
 * Each takes the place of the former by a rename, and one program at a time
 * writes them: the one that has verdict.lock.
 */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "verr.h"

struct verdict {
	bool fit;
	bool held;        /* fit only since the peer is worse */
	bool no_database; /* what fails is PostgreSQL; not written */
	bool has_address; /* the virtual one is on an interface of ours */
	char role[16];    /* of PostgreSQL: "primary" is one that is writable */
	char cause[256];  /* why it is unfit, or ""; one line */
	int64_t at_ms;
	int64_t valid_ms;
};

int64_t verdict_now_ms(void); /* CLOCK_BOOTTIME */

/*
 * Become the one that writes: a descriptor, whose end is the end of it.
 * VERR_CONFLICT: another one is it; VERR_CONFIG: no such directory, no right.
 */
int verdict_claim(struct verr *e);

/* `health` only when it changes or is missing. */
int verdict_write(const struct verdict *v, struct verr *e);

/* It holds no longer: who asks is told that there is none. */
void verdict_remove(void);

/*
 * VERR_NOTFOUND with the reason when there is none, it is too old, or no
 * verdict at all: that is as bad as an unfit one.
 */
int verdict_read(struct verdict *v, struct verr *e);

#endif
