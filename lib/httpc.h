/*
 * httpc: one HTTP request to somebody else, with a deadline.
 *
 * Layer I/O; only httpc*.c include libcurl.  No proxy, no redirects, no other
 * protocol than HTTP, but httpc_post_url() takes HTTPS.
 *
 * Two ways to use it: httpc_get() and httpc_send() wait; httpc_post() is
 * answered within a loop, any number at the same time.
 */
#ifndef HTTPC_H
#define HTTPC_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

/*
 * GET `path` at `address`: ADDR:PORT, [ADDR]:PORT, :PORT or unix:PATH, as the
 * settings *_listen have it.  `timeout_ms` is the total.  The status goes to
 * `*status` and at most `limit` bytes of the body to `body` (may be NULL).
 * VERR_RETRY: no answer; VERR_INPUT: one that is not HTTP, or too long.
 */
int httpc_get(const char *address, const char *path, int64_t timeout_ms,
	      long *status, struct buf *body, size_t limit, struct verr *e);

/* The same with a POST of `content`, as text. */
int httpc_send(const char *address, const char *path, const char *content,
	       int64_t timeout_ms, long *status, struct buf *body, size_t limit,
	       struct verr *e);

/*
 * POST `body` of that type to a URL of the settings, http or https; the answer
 * itself is of no interest.
 */
int httpc_post_url(const char *url, const char *type, const char *body,
		   int64_t timeout_ms, long *status, struct verr *e);

/* --- with a loop ------------------------------------------------------ */

struct httpc;

/* The caller frees it with httpc_free(), before the loop. */
struct httpc *httpc_new(struct loop *l, struct verr *e);
/* NULL-safe.  What has no answer yet never gets one. */
void httpc_free(struct httpc *h);

/*
 * `body` is borrowed for the callback; `e` is not NULL when there is no answer
 * (VERR_RETRY), or one that is not HTTP or too long (VERR_INPUT).  httpc_free()
 * may not be called in it, httpc_post() may.
 */
typedef void (*httpc_done_fn)(long status, const struct buf *body,
			      const struct verr *e, void *arg);

/*
 * POST `body` of that type to `url` ("http://127.0.0.1:5061/RPC"); copied.
 * `timeout_ms` is the total, `limit` what the answer may have.  fn is called
 * once, by the loop, unless this fails (VERR_RETRY, VERR_CONFIG).
 */
int httpc_post(struct httpc *h, const char *url, const char *type,
	       const char *body, int64_t timeout_ms, size_t limit,
	       httpc_done_fn fn, void *arg, struct verr *e);

/* For httpc*.c: what a CURLcode is to the caller. */
enum verr_kind httpc_kind(int code);

#endif
