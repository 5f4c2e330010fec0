/*
 * httpd: an HTTP/1.1 server in the loop, made for short requests on a
 * connection each.
 *
 * Layer I/O.  Listening sockets of any kind and single connections are served
 * alike.  A handler answers at once with http_reply(), or returns without an
 * answer and gives it later; nothing more is read from the connection
 * meanwhile.  Pipelined requests are answered one after the other.
 *
 * What is no HTTP/1.1 by the letter is refused with 400 (httphead.h).  Limits,
 * each with its status: request line 64 KiB (414), header fields 64 KiB (431),
 * body by route (413), a POST without a length (411), method (405), unknown
 * path (404), Basic credentials (401; the body is read first so that the
 * connection stays).  Deadlines are totals: http_head_timeout from the accept
 * or the former answer to the end of the head, http_timeout from there to the
 * end of the answer; a connection that misses one is closed.  At
 * http_connections no more are accepted until one ends.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

struct httpd;

struct http_request {
	const char *method; /* of a HEAD: "GET"; its answer loses the body */
	const char *path;   /* decoded, without the query */
	const char *query; /* raw, after the first '?'; "" when there is none */
	const char *content_type; /* or NULL */
	struct buf body;
	char peer[64];       /* "192.0.2.1:5060", "[::1]:1", "unix" */
	int64_t received_ms; /* loop_now_ms() of its head */
	void *data;          /* the handler's own */
	bool logged;         /* by the handler: no line from the server */
	/*
	 * Called once, when the answer was sent or cannot be, or the server
	 * ends; frees `data`.  May be NULL.
	 */
	void (*release)(struct http_request *r);
};

/*
 * The request and all it points to stay until the handler answers, also when
 * the client goes away or the deadline passes meanwhile: whoever keeps a
 * request must answer it in the end.
 */
typedef void (*http_handler_fn)(struct http_request *r, void *arg);

struct http_route {
	const char *method; /* "GET", "POST", ..., or "*" for both of these */
	const char *path;   /* exact, or a prefix when it ends with "/" */
	size_t body_limit;
	bool open; /* answered without credentials (health, metrics) */
	http_handler_fn handler;
};

/*
 * Answer.  `body` is copied.  Later calls for the same request are ignored, and
 * so is an answer to a client that went away.  `r` is over after the call when
 * the request had been kept; otherwise when the handler returns.
 */
void http_reply(struct http_request *r, int status, const char *content_type,
		const void *body, size_t len);
/* {"status":"error","message":"..."} from a verr, with Retry-After for 503. */
void http_reply_error(struct http_request *r, const struct verr *e);
/* The metrics of these groups, in the text format of Prometheus. */
void http_reply_metrics(struct http_request *r, unsigned groups);
/* An extra header for the coming http_reply(). */
void
http_add_header(struct http_request *r, const char *name, const char *value);

struct httpd_options {
	const struct http_route *routes; /* ends with a NULL method; borrowed */
	void *arg;                       /* for the handlers */
	/* "user:password"; NULL or "": none.  Required on every route that is
	 * not open. */
	const char *credentials;
	const char *realm; /* borrowed */
};

struct httpd *
httpd_new(struct loop *loop, const struct httpd_options *o, struct verr *e);
/* Closes every connection; requests that wait for an answer are released. */
void httpd_free(struct httpd *h);

/*
 * Adopt a listening socket (it becomes non-blocking); the caller closes it
 * after httpd_drain() or httpd_free().  `own`: nobody else will serve its
 * backlog when we stop.
 */
int httpd_add_listener(struct httpd *h, int fd, bool own, struct verr *e);
/* Adopt one connected socket; closed when done, also on error. */
int httpd_add_connection(struct httpd *h, int fd, struct verr *e);
/* The settings were read anew; for the requests to come. */
int httpd_reload(struct httpd *h, const char *credentials, struct verr *e);

/*
 * Stop: take what waits in the backlog of our own listeners, serve what was
 * accepted, give connections that said nothing yet a second; `done` is called
 * when nothing is left.  The caller closes its own listeners right after the
 * call: who connects later is refused, rather than reset at the end.
 */
void httpd_drain(struct httpd *h, void (*done)(void *arg), void *arg);
/* Call `fn` each time that no connection is left, outside of callbacks. */
void httpd_when_empty(struct httpd *h, void (*fn)(void *arg), void *arg);
/* loop_now_ms() of the last moment that a connection existed. */
int64_t httpd_last_active_ms(const struct httpd *h);

#endif
