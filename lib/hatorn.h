/*
 * hatorn: a data directory that was left half rewound.
 *
 * Layer domain.  pg_rewind empties the files that it is going to fetch, and
 * writes pg_control last: one that is cut off, such as by the end of the server
 * that it fetches from, leaves a directory that looks as before and is of two
 * histories.  It cannot be rewound again, nothing may start in it, and its rows
 * were saved before; what helps is a new one.
 *
 * So ha_torn_begin() is called before pg_rewind: it keeps in `k->torn` what the
 * files were like and what pg_control said.  The directory is torn when files
 * have changed since and pg_control has not, whoever is asked, now or after a
 * reboot; one that was put in its place by hand is not.  The server must be
 * stopped.
 */
#ifndef HATORN_H
#define HATORN_H

#include "hash.h"
#include "hastate.h"

/* Durable when it returns. */
int ha_torn_begin(struct ha_kept *k, struct verr *e);
bool ha_torn_is(const struct ha_kept *k);
/* By what the peer says of itself; it looks anew when it is to start. */
bool ha_torn_peer(const struct ha_state *peer);
/* pg_rewind has ended, well or before it wrote: forgets it in that case. */
bool ha_torn_end(struct ha_kept *k, bool well);

/* Of the pg_control of a data directory. */
int ha_control_digest(const char *directory, char digest[HASH_SHA256_HEX],
		      struct verr *e);

#endif
