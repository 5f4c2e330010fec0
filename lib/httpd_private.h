/*
 * httpd_private: what the files of httpd share.
 *
 * Layer I/O; included by httpd*.c only.  httpd.c has the listeners and the life
 * of the server, httpdconn.c the bytes of a connection, httpdreq.c one request
 * from its head to its answer.
 *
 * A connection holds no more memory than what came and was not used, and is in
 * the loop only while it waits: a request that is there when it is accepted is
 * answered without a turn of the loop.
 */
#ifndef HTTPD_PRIVATE_H
#define HTTPD_PRIVATE_H

#include <sys/socket.h>

#include "httpd.h"
#include "httphead.h"

#define HTTPD_SCRATCH (64 * 1024)

struct httpd {
	struct loop *loop;
	const struct http_route *routes;
	void *arg;
	const char *realm;
	char *credentials; /* base64 of user:password, or NULL */

	/* Settings: a lookup of each by its name would be felt. */
	size_t connections_max;
	int64_t head_ms;
	int64_t request_ms;

	struct http_listener *listeners;
	bool accepting;
	bool starved; /* no descriptor was left for accept() */
	struct loop_timer retry;

	struct http_connection *connections;
	size_t count;
	int64_t last_active_ms;

	bool draining;
	struct loop_timer empty; /* calls when_empty, outside of callbacks */
	void (*when_empty)(void *arg);
	void *when_empty_arg;

	struct buf head; /* of the answer that is being made */
	int64_t date_s;  /* of the text that follows */
	char date[40];
	char scratch[HTTPD_SCRATCH]; /* what recv() just gave */
};

enum http_state {
	HTTP_HEAD,   /* a request may come */
	HTTP_BODY,   /* its head is complete */
	HTTP_KEPT,   /* a handler has it */
	HTTP_ANSWER, /* the answer is being sent */
	HTTP_LINGER, /* answered before the end of the request: it is read and
			dropped, so that the client sees the answer */
};

/* A request with what only we need; http_request is its first member. */
struct http_exchange {
	struct http_request r;
	struct http_connection *connection;
	const struct http_route *route;
	int refusal;     /* decided on the head; the body is read and dropped */
	const char *why; /* for the refusal */
	size_t limit;    /* of the body */
	size_t taken;
	uint64_t length; /* as the head says */
	size_t type_at;  /* of the content type in the input; 0: none */
	bool chunked;
	bool expects;       /* and was not told to go on */
	bool bodiless;      /* HEAD */
	bool close;         /* no request after this one */
	bool unread;        /* the answer comes before the end of the request */
	bool handling;      /* the handler is running */
	bool answered;      /* or given up */
	struct buf headers; /* lines */
};

struct http_connection {
	struct httpd *server;
	int fd;
	unsigned watched; /* events that the loop waits for; 0: it does not */
	enum http_state state;
	bool broken; /* nothing can be sent any more */
	bool served; /* at least one request */
	struct loop_timer deadline;
	unsigned timed;         /* for what the deadline is, see httpdconn.c */
	unsigned requests;      /* answered */
	struct loop_timer more; /* input is there that no event tells of */
	struct buf in;
	size_t used; /* of it: the head, when that is complete */
	char saved;  /* the byte behind the body, where a NUL is */
	struct http_scan scan;
	struct http_chunks chunks;
	struct buf target; /* path, NUL, query */
	struct buf body;   /* from chunks */
	struct buf out;
	size_t sent;
	struct http_exchange exchange;
	struct http_connection *next;
	struct http_connection *prev;
};

/* --- httpd.c ---------------------------------------------------------- */

/* Close it and free it; never while a handler has its request. */
void httpd_end(struct http_connection *c);

/* --- httpdconn.c ------------------------------------------------------ */

/* Read and serve what is there; the connection may be over then. */
void httpconn_start(struct http_connection *c);
/* (Re)start the deadline, for the end of the server. */
void httpconn_hurry(struct http_connection *c);
/* Send, and keep a copy of what does not fit. */
void httpconn_send(struct http_connection *c, const struct buf *head,
		   const void *body, size_t len);
/* A kept request was answered. */
void httpconn_answered(struct http_connection *c);

/* --- httpdreq.c ------------------------------------------------------- */

/* The head is complete, its parts are in the input.  It may be refused. */
void httpreq_begin(struct http_exchange *x, const struct http_head *head);
/* The request is complete: run its handler, or refuse it. */
void httpreq_finish(struct http_exchange *x);
/* Refuse at once, before the request's end. */
void httpreq_refuse(struct http_exchange *x, int status, const char *why);
/* It is over, answered or not. */
void httpreq_release(struct http_exchange *x);

#endif
