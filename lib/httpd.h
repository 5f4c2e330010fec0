/*
 * httpd: an HTTP/1.1 server on libmicrohttpd in our own loop.
 *
 * Layer I/O; the only file that includes microhttpd.h.  Connections are
 * accepted by us and handed over (MHD_add_connection), so several listening
 * sockets, a unix socket and an inetd connection are all the same thing.  A
 * handler answers at once with http_reply(), or keeps the request and answers
 * later: the connection is suspended meanwhile.
 *
 * Limits, each with its status: request line and headers 64 KiB (414, 431),
 * body by route (413), method (405), unknown path (404), Basic credentials
 * (401; the body is read first so that the connection stays).  Deadlines are
 * totals: http_head_timeout for the head, http_timeout for body and answer;
 * a connection that misses one is closed.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

struct httpd;

struct http_request {
	const char *method;
	const char *path;  /* decoded, without the query */
	const char *query; /* raw, after the first '?'; "" when there is none */
	const char *content_type; /* or NULL */
	struct buf body;
	char peer[64]; /* "192.0.2.1:5060", "[::1]:1", "unix", "stdin" */
	int64_t received_ms;   /* loop_now_ms() of its head */
	void *data;	       /* the handler's own */
	/* Called when the request is over, whether it was answered or the
	 * client went away; frees `data`.  May be NULL. */
	void (*release)(struct http_request *r);
	/* private below */
	void *connection;
	void *server;
	const void *route;
};

typedef void (*http_handler_fn)(struct http_request *r, void *arg);

struct http_route {
	const char *method; /* "GET", "POST", or "*" for both */
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
/* {"status":"...","message":"..."} from a verr, with Retry-After for 503. */
void http_reply_error(struct http_request *r, const struct verr *e);
/* An extra header for the coming http_reply(). */
void http_add_header(struct http_request *r, const char *name,
		     const char *value);

struct httpd_options {
	const struct http_route *routes; /* ends with a NULL method */
	void *arg;			 /* for the handlers */
	/* "user:password" or NULL: required on every route that is not open. */
	const char *credentials;
	const char *realm;
};

struct httpd *httpd_new(struct loop *loop, const struct httpd_options *o,
			struct verr *e);
void httpd_free(struct httpd *h);

/* Adopt a listening socket (it becomes non-blocking); borrowed. */
int httpd_add_listener(struct httpd *h, int fd, struct verr *e);
/* Adopt one connected socket; closed when done. */
int httpd_add_connection(struct httpd *h, int fd, struct verr *e);
void httpd_set_credentials(struct httpd *h, const char *credentials);

/*
 * Stop: take what waits in the backlog of listeners that are ours, serve what
 * was accepted, close the rest; `done` is called when nothing is left.
 */
void httpd_drain(struct httpd *h, void (*done)(void *arg), void *arg);
size_t httpd_connections(const struct httpd *h);
/* loop_now_ms() of the last moment that a connection existed. */
int64_t httpd_last_active_ms(const struct httpd *h);

#endif
