/*
 * jsonrpc: Kamailio's RPC commands, over HTTP, within a loop.
 *
 * Layer I/O.  JSON-RPC 2.0 as the module jsonrpcs answers it
 * (jsonrpc_dispatch() in event_route[xhttp:request]): the answer's "result", or
 * its "error" with code and message, whatever the HTTP status is.
 *
 * A command is words: the method, then its parameters, all of them strings;
 * they travel as JSON strings, so that nothing in them is a command.
 */
#ifndef JSONRPC_H
#define JSONRPC_H

#include <stddef.h>
#include <stdint.h>

#include "httpc.h"
#include "verr.h"

/*
 * `code` is 0 when it was done, else the answer's error code with `message`.
 * `e` is not NULL when there was no answer (VERR_RETRY) or it was not JSON-RPC
 * (VERR_CONFIG: something else listens there).
 */
typedef void (*jsonrpc_done_fn)(long code, const char *message,
				const struct verr *e, void *arg);

/* The caller's, which stays until `fn` was called or the httpc is freed. */
struct jsonrpc {
	jsonrpc_done_fn fn;
	void *arg;
};

/* Words are copied.  fn is called once, by the loop, unless this fails. */
int jsonrpc_call(struct jsonrpc *call, struct httpc *h, const char *url,
		 const char *const *words, size_t n, int64_t timeout_ms,
		 struct verr *e);

#endif
