/*
 * network: addresses and networks, IPv4 and IPv6.
 *
 * Layer text.  An IPv4 address that is written as IPv6 (::ffff:192.0.2.1) is
 * the IPv4 address.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>

struct network {
	int family; /* AF_INET or AF_INET6; 0: none */
	unsigned prefix;
	unsigned char address[16];
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32"; false when it is none. */
bool network_parse(struct network *n, const char *text);

/* Whether `address`, without a prefix, is in the network. */
bool network_has(const struct network *n, const char *address);

#endif
