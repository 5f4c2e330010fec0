/*
 * cryptcert: how long is a certificate good?
 *
 * Layer I/O.  Reads the first certificate of a file in PEM.
 */
#ifndef CRYPTCERT_H
#define CRYPTCERT_H

#include "verr.h"

/* Seconds until its end, below 0 after it; VERR_INPUT: there is none. */
int cryptcert_left(const char *path, double *seconds, struct verr *e);

#endif
