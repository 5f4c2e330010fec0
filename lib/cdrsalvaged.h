/*
 * cdrsalvaged: a CDR that voip-failover saved from an old data directory.
 *
 * Layer text.  A line of JSON: {"salvaged":"cdr_queue","received_at":...,
 * "query_uuid":...,"peer":...,"content_type":...,"reason":...,"body":"..."},
 * with "body_base64" for a body that is no UTF-8.  "reason" is of a dead
 * letter.  What else is there is for people.
 */
#ifndef CDRSALVAGED_H
#define CDRSALVAGED_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

/* What such a line begins with. */
#define CDRSALVAGED_MARK "{\"salvaged\":\""

/* What a file of such lines is called at its end. */
#define CDRSALVAGED_SUFFIX ".cdr.jsonl"

/* The caller frees them with cdrsalvaged_release(); NULL: was not there. */
struct cdrsalvaged {
	struct buf body;
	char *received_at;
	char *query_uuid;
	char *peer;
	char *content_type;
	char *reason;
};

bool cdrsalvaged_is(const char *record, size_t len);
/* VERR_INPUT: it has the mark, and is none. */
int cdrsalvaged_read(struct cdrsalvaged *s, const char *record, size_t len,
		     struct verr *e);
void cdrsalvaged_release(struct cdrsalvaged *s);

#endif
