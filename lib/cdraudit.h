/*
 * cdraudit: is every leg that FreeSWITCH wrote somewhere?
 *
 * Layer domain.  With log-http-and-disk mod_json_cdr writes each record to a
 * file before it posts it: those files say what was produced.  A leg is known
 * by (start_time, leg_uuid); it is stored, a dead letter, queued, in this
 * node's spool, or missing.  Produced = stored + dead + queued + spooled +
 * missing, since each leg is counted at the first place where it is found.
 */
#ifndef CDRAUDIT_H
#define CDRAUDIT_H

#include <stddef.h>

#include "db.h"
#include "verr.h"

enum cdraudit_place {
	CDRAUDIT_STORED,
	CDRAUDIT_DEAD,
	CDRAUDIT_QUEUED,
	CDRAUDIT_SPOOLED,
	CDRAUDIT_MISSING,
	CDRAUDIT_PLACES,
};

struct cdraudit_leg {
	const char *file;
	const char *node; /* "" where the record does not say */
	const char *leg_uuid;
	const char *start_time; /* "2026-11-21 10:00:00.123456+00" */
	enum cdraudit_place place;
};

/* Called for each leg, in batches; what it is given is gone afterwards. */
typedef void (*cdraudit_fn)(const struct cdraudit_leg *leg, void *arg);

/*
 * All files below the directory, those that import moved aside too.  The same
 * leg in two files counts once when they are neighbours, as a_UUID and UUID.
 * `*unreadable` counts files that hold no record.
 */
int cdraudit_run(struct db *db, const char *directory, cdraudit_fn fn,
		 void *arg, size_t *unreadable, struct verr *e);

#endif
