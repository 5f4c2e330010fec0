/*
 * httpc: one HTTP request to somebody else, with a deadline.
 *
 * Layer I/O; the only file that includes libcurl.  No proxy, no redirects, no
 * other protocol than HTTP.
 */
#ifndef HTTPC_H
#define HTTPC_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

/*
 * GET `path` at `address`: ADDR:PORT, [ADDR]:PORT, :PORT or unix:PATH, as the
 * settings *_listen have it.  `timeout_ms` is the total.  The status goes to
 * `*status` and at most `limit` bytes of the body to `body` (may be NULL).
 * VERR_RETRY: no answer.
 */
int httpc_get(const char *address, const char *path, int64_t timeout_ms,
	      long *status, struct buf *body, size_t limit, struct verr *e);

#endif
