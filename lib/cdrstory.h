/*
 * cdrstory: the legs of a call as one story, an event a line.
 *
 * Layer domain.  The legs are named A, B, ... in the order of their start; the
 * events of all are put into the order of their times.
 */
#ifndef CDRSTORY_H
#define CDRSTORY_H

#include "db.h"
#include "verr.h"

struct cdrstory_event {
	const char *at; /* borrowed from the legs */
	char leg[8];
	const char *what; /* a word */
	char detail[512]; /* text as it came: not for terminals */
};

typedef void (*cdrstory_fn)(const struct cdrstory_event *event, void *arg);

/* `legs` as of cdrquery_story().  VERR_RETRY: no memory. */
int cdrstory_tell(const struct db_result *legs, cdrstory_fn fn, void *arg,
		  struct verr *e);

#endif
