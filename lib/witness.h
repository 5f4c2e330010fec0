/*
 * witness: addresses beyond the pair that tell whether this node is cut off.
 *
 * Layer I/O.  A witness is an address, which is sent an ICMP echo request (RFC
 * 792, RFC 4443; needs net.ipv4.ping_group_range or CAP_NET_RAW), or
 * ADDRESS:PORT, to which a connection is made: one that is refused has
 * answered, too.  All are asked at once; one answer is enough.
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <stdint.h>

#include "verr.h"

#define WITNESS_MAX 16

/*
 * `list` is separated by spaces or commas.  1: seen, 0: none answered within
 * `timeout_ms`; -1: the list is wrong (VERR_CONFIG) or we may not ask
 * (VERR_SYSTEM).
 */
int witness_ask(const char *list, int64_t timeout_ms, struct verr *e);

#endif
