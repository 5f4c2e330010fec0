/*
 * moment: a point in time as people write it.
 *
 * Layer text.  Either ISO 8601, "2027-01-31", "2027-01-31T18:00Z",
 * "2027-01-31 18:00:00+01:00" (a day alone is its first second; without a zone
 * it is UTC), or how far from now: "90d", "12h", "2w".
 */
#ifndef MOMENT_H
#define MOMENT_H

#include <stdint.h>

#include "verr.h"

#define MOMENT_TEXT 32

/* As "2027-01-31T18:00:00Z"; VERR_INPUT says what is wrong. */
int moment_utc(char out[MOMENT_TEXT], const char *s, struct verr *e);

/* The check of a field, see valid.h. */
int valid_moment(const char *s, struct verr *e);

#endif
