/*
 * httpdreq: one request on a connection of httpd, from its line to its answer.
 *
 * Layer I/O; private to httpd.c and httpdreq.c.  libmicrohttpd calls in this
 * order: httpdreq_line() with the raw target, httpdreq_handle() when the head
 * is complete, again for each piece of the body, and once more at its end, and
 * httpdreq_completed() when the answer was sent or the connection broke.
 */
#ifndef HTTPDREQ_H
#define HTTPDREQ_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "httpd.h"

/*
 * MHD clears half of a connection's memory for each request, so the many with
 * a short first line get little: a daemon for each size.
 */
enum httpd_size { HTTPD_SMALL, HTTPD_LARGE, HTTPD_SIZES };

struct httpd {
	struct loop *loop;
	struct MHD_Daemon *daemons[HTTPD_SIZES];
	int epoll_fds[HTTPD_SIZES];
	const struct http_route *routes;
	void *arg;
	const char *realm;
	char *credentials; /* base64 of user:password, or NULL */
	/* A turn of the daemon is due that its descriptor does not tell of. */
	bool run_now[HTTPD_SIZES];

	struct http_listener *listeners;
	bool accepting;
	bool starved; /* no descriptor was left for accept() */
	struct loop_timer retry;

	struct http_connection *connections;
	struct http_connection *adding; /* during MHD_add_connection() */
	size_t count;
	int64_t last_active_ms;

	bool draining;
	struct loop_timer empty; /* calls when_empty, outside of callbacks */
	void (*when_empty)(void *arg);
	void *when_empty_arg;
};

struct http_connection {
	struct httpd *server;
	enum httpd_size size;
	int fd; /* MHD closes it after its last notification */
	struct loop_timer deadline;
	bool served; /* at least one request */
	/* Nothing came yet: it is ours, and MHD does not know it. */
	bool silent;
	struct sockaddr_storage address;
	socklen_t address_len;
	struct http_exchange *current;
	char peer[64];
	struct http_connection *next;
	struct http_connection *prev;
};

/* A request with what only we need; http_request is its first member. */
struct http_exchange {
	struct http_request r;
	struct http_connection *connection;
	struct MHD_Connection *mhd;
	const struct http_route *route;
	char *target;    /* path, NUL, query */
	bool malformed;  /* the target */
	bool unframed;   /* where the request ends is not known */
	bool too_long;   /* the request line */
	bool begun;      /* the head is complete */
	int refusal;     /* decided on the head; the body is read and dropped */
	const char *why; /* for the refusal */
	size_t limit;    /* of the body */
	size_t taken;
	bool cut;           /* 413 was sent past MHD; the rest is dropped */
	bool kept;          /* suspended */
	bool answered;      /* or given up */
	bool unqueued;      /* no memory for the answer: close */
	struct buf headers; /* name, NUL, value, NUL, ... */
};

void *httpdreq_line(void *arg, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result
httpdreq_handle(void *arg, struct MHD_Connection *mhd, const char *url,
		const char *method, const char *version, const char *data,
		size_t *size, void **context);
void httpdreq_completed(void *arg, struct MHD_Connection *mhd, void **context,
			enum MHD_RequestTerminationCode how);
/* Give up a kept request, for the end of the server. */
void httpdreq_abandon(struct http_exchange *x);

/* (Re)start the total deadlines of a connection; in httpd.c. */
void httpd_await_head(struct http_connection *c);
void httpd_await_answer(struct http_connection *c);

#endif
