/*
 * hamaintenance: for a while nothing is done by itself.
 *
 * Layer domain.  The file "maintenance" in `health_dir`, which a reboot clears:
 * {"until":SECONDS,"by":"root","reason":"..."}; it ends by itself, so that a
 * node is not forgotten in it.  One that cannot be read counts.
 */
#ifndef HAMAINTENANCE_H
#define HAMAINTENANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "verr.h"

struct ha_maintenance {
	int64_t until; /* seconds since the epoch; 0: not known */
	char by[64];
	char reason[256];
};

/* Is it so now?  `m` may be NULL. */
bool ha_is_maintenance(struct ha_maintenance *m);

int ha_maintenance_begin(int64_t seconds, const char *reason, struct verr *e);
/* 1: it was so, 0: it was not. */
int ha_maintenance_end(struct verr *e);

#endif
