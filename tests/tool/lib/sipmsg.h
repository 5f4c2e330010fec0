/*
 * sipmsg: as much of SIP over UDP as stand-ins and test clients need.
 *
 * A message is NUL-terminated text; what is found in it is borrowed from it.
 */
#ifndef SIPMSG_H
#define SIPMSG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define SIP_MAX 65536

/* "ADDRESS:PORT" of IPv4; false when it is not. */
bool sip_address(struct sockaddr_in *a, const char *text);

/* A UDP socket bound to `text`, with a large buffer; ends the program. */
int sip_socket(const char *text);

/* The n-th header of that name (0 is the first): value and length, or NULL. */
const char *
sip_header(const char *message, const char *name, unsigned n, size_t *len);

/* The value between `before` and the next `after`, into out; "" when not. */
void sip_between(const char *text, size_t len, const char *before,
		 const char *after, char *out, size_t size);

#endif
