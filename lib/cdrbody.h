/*
 * cdrbody: from a CDR's bytes, in any encoding, to the texts of its sources.
 *
 * Layer domain.  What is plain is found by cdr_scan(); the rest goes through
 * the repair (cdrrepair.h) and the parser, with the same slots at the end.
 *
 *	struct cdr_body b;
 *
 *	if (cdr_body_read(&b, sources, body, len, e) == 0)
 *		... b.slots[...] ...
 *	cdr_body_release(&b);
 */
#ifndef CDRBODY_H
#define CDRBODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "cdrscan.h"
#include "verr.h"

struct cdr_body {
	struct cdr_slot slots[CDR_SLOTS]; /* point into what follows */
	bool repaired;
	bool parsed;     /* the scan would not take it */
	struct buf text; /* JSON */
	json_t *root;    /* or NULL */
};

/*
 * VERR_INPUT: no JSON object with an object `variables`, and why; VERR_RETRY:
 * no memory.  To be released in any case.
 */
int cdr_body_read(struct cdr_body *b, const struct cdr_sources *t,
		  const void *body, size_t len, struct verr *e);
void cdr_body_release(struct cdr_body *b);

#endif
