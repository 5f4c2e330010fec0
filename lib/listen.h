/*
 * listen: sockets to serve, passed to us or made by us.
 *
 * Layer I/O.  Descriptors come from systemd (LISTEN_FDS, sd_listen_fds(3)),
 * from inetd (standard input), or are made for an address: ADDR:PORT,
 * [ADDR]:PORT, :PORT (all addresses) or unix:PATH.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "verr.h"

#define LISTEN_MAX 16

enum listen_kind {
	LISTEN_NONE,       /* no socket, or a connected AF_UNIX one: a pipe */
	LISTEN_LISTENING,  /* a stream socket that accepts */
	LISTEN_CONNECTION, /* a connected AF_INET or AF_INET6 stream */
};

enum listen_kind listen_kind_of(int fd);

/*
 * How many sockets systemd passed to this process, from descriptor 3 on; they
 * become close-on-exec and the variables are unset, so that no child takes
 * them for its own.  -1: more than LISTEN_MAX, or not stream sockets.
 */
int listen_passed(struct verr *e);

/*
 * Bind and listen.  A name with several addresses gives several sockets.  The
 * file of a unix socket is made with mode 0660; one that nobody serves any
 * more is replaced, any other file is left alone.  VERR_RETRY: in use.
 */
int listen_open(const char *address, int fds[LISTEN_MAX], size_t *n,
		struct verr *e);
/* Close what listen_open() made, and remove the file of a unix socket. */
void listen_close(const int *fds, size_t n);

/* True for loopback addresses and unix sockets, by getsockname(2). */
bool listen_is_local(int fd);

/* "127.0.0.1:8081", "[::1]:8081", "unix:/run/x": the address of a socket. */
void listen_name(int fd, char *name, size_t size);

#endif
