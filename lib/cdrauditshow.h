/*
 * cdrauditshow: the audit's result, by node and day, or the missing legs.
 *
 * Layer domain.
 */
#ifndef CDRAUDITSHOW_H
#define CDRAUDITSHOW_H

#include <stdbool.h>

#include "db.h"
#include "out.h"
#include "verr.h"

/*
 * Run the audit (cdraudit.h) and print: a row for each node and day of the
 * legs' start (UTC), or with `missing` one for each missing leg.
 * VERR_NOTFOUND when a leg is missing, with how many.
 */
int cdrauditshow_run(struct db *db, const char *directory, bool missing,
		     enum out_format format, struct verr *e);

#endif
