/*
 * hareport: the pair, as rows below those of pgreport.
 *
 * Layer domain.  "vrrp": what keepalived said, and whether the address is
 * held; "marker" and "transition" when there are any; "peer": what it says of
 * itself; "service": what runs by what the node is; "next": what the table
 * would do now, and why; "pair": how the pair is in a word, and what helps.
 */
#ifndef HAREPORT_H
#define HAREPORT_H

#include "out.h"

/* For pgreport(); nothing when there is no pair. */
void ha_report(struct out *out);

#endif
