#include "httpdreq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "form.h"
#include "hash.h"
#include "log.h"
#include "metrics.h"
#include "out.h"

#define REQUEST_LINE_MAX (64 * 1024)
/* How much of a refused body is read so that the client sees the answer. */
#define DISCARD_MAX (1024 * 1024)

static bool
has_word(const char *word, const char *s)
{
	return strcasecmp(s, word) == 0;
}

/* --- the request line ------------------------------------------------- */

/* The path of an absolute target ("http://host/path", RFC 9112 3.2.2). */
static const char *
skip_authority(const char *uri)
{
	const char *slash;

	if (strncasecmp(uri, "http://", 7) != 0)
		return uri;
	slash = strchr(uri + 7, '/');
	return slash ? slash : "/";
}

static bool
split_target(struct http_exchange *x, const char *uri)
{
	const char *mark, *path = skip_authority(uri);
	size_t path_len;
	struct buf target = BUF_INIT;

	mark = strchr(path, '?');
	path_len = mark ? (size_t)(mark - path) : strlen(path);
	form_decode(&target, path, path_len, false);
	if (target.len == 0 || target.data[0] != '/' ||
	    memchr(target.data, '\0', target.len))
		x->malformed = true;
	buf_putc(&target, '\0');
	path_len = target.len;
	buf_puts(&target, mark ? mark + 1 : "");
	if (buf_failed(&target)) {
		buf_release(&target);
		return false;
	}
	x->target = buf_detach(&target);
	x->r.path = x->target;
	x->r.query = x->target + path_len;
	return x->target != NULL;
}

void *
httpdreq_line(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_exchange *x = calloc(1, sizeof(*x));
	char *mark;

	(void)arg;
	if (!x || !info || !info->socket_context) {
		free(x);
		return NULL;
	}
	x->connection = info->socket_context;
	x->mhd = mhd;
	x->r.body = BUF_INIT;
	x->headers = BUF_INIT;
	if (!uri)
		uri = "";
	/* With "GET " and " HTTP/1.1" around it. */
	x->too_long = strlen(uri) + 13 > REQUEST_LINE_MAX;
	if (!split_target(x, uri)) {
		free(x);
		return NULL;
	}
	memcpy(x->r.peer, x->connection->peer, sizeof(x->r.peer));
	x->connection->current = x;
	/*
	 * MHD would make a list of all query parameters in the connection's
	 * memory, which hundreds of them exhaust.  We have the query, so it
	 * gets an empty one; this is its own buffer, that it cuts itself next.
	 */
	mark = strchr(uri, '?');
	if (mark && mark[1])
		mark[1] = '\0';
	return x;
}

/* --- the head --------------------------------------------------------- */

struct head {
	int lengths;
	int encodings;
	bool chunked;
	bool too_big; /* for a number */
	uint64_t length;
	bool expects; /* 100-continue */
	const char *authorization;
	const char *content_type;
};

static enum MHD_Result
take_header(void *arg, enum MHD_ValueKind kind, const char *name,
	    const char *value)
{
	struct head *h = arg;
	char *end;

	(void)kind;
	if (!value)
		return MHD_YES;
	if (has_word("content-length", name)) {
		h->lengths++;
		h->length = strtoull(value, &end, 10);
	} else if (has_word("transfer-encoding", name)) {
		h->encodings++;
		h->chunked = has_word("chunked", value);
	} else if (has_word("expect", name)) {
		h->expects = has_word("100-continue", value);
	} else if (has_word("authorization", name)) {
		h->authorization = value;
	} else if (has_word("content-type", name)) {
		h->content_type = value;
	}
	return MHD_YES;
}

static bool
path_matches(const struct http_route *route, const char *path)
{
	size_t len = strlen(route->path);

	if (len > 1 && route->path[len - 1] == '/')
		return strncmp(route->path, path, len) == 0;
	return strcmp(route->path, path) == 0;
}

static bool
method_matches(const struct http_route *route, const char *method)
{
	if (strcmp(route->method, "*") == 0)
		return strcmp(method, "GET") == 0 ||
		       strcmp(method, "POST") == 0;
	return strcmp(route->method, method) == 0;
}

static void
refuse_later(struct http_exchange *x, int status, const char *why)
{
	if (x->refusal == 0) {
		x->refusal = status;
		x->why = why;
	}
}

/* Returns the status that refuses the request when there is none, or 0. */
static int
find_route(struct http_exchange *x)
{
	const struct http_route *route;
	bool path_known = false;

	for (route = x->connection->server->routes; route->method; route++) {
		if (!path_matches(route, x->r.path))
			continue;
		path_known = true;
		if (method_matches(route, x->r.method)) {
			x->route = route;
			x->limit = route->body_limit;
			return 0;
		}
	}
	x->limit = REQUEST_LINE_MAX;
	return path_known ? 405 : 404;
}

static bool
is_authorized(const struct http_exchange *x, const char *authorization)
{
	const char *want = x->connection->server->credentials;
	size_t len;

	if (!want || (x->route && x->route->open))
		return true;
	if (!authorization || strncasecmp(authorization, "Basic ", 6) != 0)
		return false;
	authorization += 6 + strspn(authorization + 6, " ");
	len = strcspn(authorization, " \t");
	return hash_equal(authorization, len, want, strlen(want));
}

/* Faults of the head in the order in which they are told. */
static void
check_head(struct http_exchange *x, const struct head *h)
{
	int no_route = find_route(x);

	if (x->too_long)
		refuse_later(x, 414, "the request line is too long");
	if (x->malformed)
		refuse_later(x, 400, "the path is malformed");
	x->unframed = h->lengths > 1 || h->encodings > 1 ||
		      (h->lengths && h->encodings) ||
		      (h->encodings && !h->chunked);
	if (h->encodings && !h->chunked)
		refuse_later(x, 501, "the transfer encoding is unknown");
	if (x->unframed)
		refuse_later(x, 400, "the length of the body is ambiguous");
	if (!is_authorized(x, h->authorization))
		refuse_later(x, 401, "credentials are missing or wrong");
	if (no_route == 405)
		refuse_later(x, 405, "this path does not take the method");
	else if (no_route)
		refuse_later(x, 404, "there is nothing at this path");
	if (x->route && x->route->body_limit > 0 && !h->lengths &&
	    !h->encodings && strcmp(x->r.method, "POST") == 0)
		refuse_later(x, 411, "a body needs a length");
}

/* --- answers ---------------------------------------------------------- */

static const char *
error_word(int status)
{
	return status == 503 ? "unavailable" : "error";
}

static void
error_body(struct buf *body, int status, const char *message)
{
	buf_printf(body, "{\"status\":\"%s\",\"message\":", error_word(status));
	out_json_string(body, message, strlen(message));
	buf_puts(body, "}\n");
}

static void
count(const struct http_exchange *x, int status)
{
	char number[16], ms[32];

	metric_add(METRIC_HTTP_REQUESTS, 1);
	if (status == 503)
		metric_add(METRIC_HTTP_UNAVAILABLE, 1);
	else if (status >= 400 && status < 500)
		metric_add(METRIC_HTTP_REFUSED, 1);
	if (x->r.logged || !log_wants(LOG_LEVEL_DEBUG))
		return;
	snprintf(number, sizeof(number), "%d", status);
	snprintf(ms, sizeof(ms), "%" PRId64, loop_now_ms() - x->r.received_ms);
	log_event(LOG_LEVEL_DEBUG, "request", "peer", x->r.peer, "method",
		  x->r.method, "path", x->r.path, "status", number, "ms", ms,
		  NULL);
}

/*
 * 413 straight to the socket: MHD takes an answer only before or after the
 * body, and closing with unread data would reset the connection before the
 * client has read it.  What follows is dropped, up to DISCARD_MAX.
 */
static void
cut_body(struct http_exchange *x)
{
	struct buf body = BUF_INIT, all = BUF_INIT;

	x->cut = true;
	error_body(&body, 413, "the body is too large");
	buf_printf(&all,
		   "HTTP/1.1 413 Content Too Large\r\n"
		   "Content-Type: application/json\r\n"
		   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		   body.len, body.data);
	if (!buf_failed(&all) &&
	    send(x->connection->fd, all.data, all.len,
		 MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)all.len)
		shutdown(x->connection->fd, SHUT_WR);
	buf_release(&all);
	buf_release(&body);
	count(x, 413);
}

static bool
add_headers(struct http_exchange *x, struct MHD_Response *response,
	    const char *content_type)
{
	const char *name = x->headers.data;
	const char *end = x->headers.data + x->headers.len;
	const char *value;

	if (content_type && MHD_add_response_header(response, "Content-Type",
						    content_type) != MHD_YES)
		return false;
	if (x->connection->server->draining &&
	    MHD_add_response_header(response, "Connection", "close") != MHD_YES)
		return false;
	for (; name < end; name = value + strlen(value) + 1) {
		value = name + strlen(name) + 1;
		if (MHD_add_response_header(response, name, value) != MHD_YES)
			return false;
	}
	return !buf_failed(&x->headers);
}

static bool
queue(struct http_exchange *x, int status, const char *content_type,
      const void *body, size_t len)
{
	struct MHD_Response *response;
	bool ok;

	/* MHD's parameter is not const, but it only copies. */
	response = MHD_create_response_from_buffer(
		len, len ? (void *)(uintptr_t)body : buf_empty,
		MHD_RESPMEM_MUST_COPY);
	if (!response)
		return false;
	ok = add_headers(x, response, content_type) &&
	     MHD_queue_response(x->mhd, (unsigned)status, response) == MHD_YES;
	MHD_destroy_response(response);
	if (ok)
		count(x, status);
	return ok;
}

static struct http_exchange *
exchange_of(struct http_request *r)
{
	return (struct http_exchange *)r; /* its first member */
}

void
http_add_header(struct http_request *r, const char *name, const char *value)
{
	struct buf *headers = &exchange_of(r)->headers;

	buf_add(headers, name, strlen(name) + 1);
	buf_add(headers, value, strlen(value) + 1);
}

static void
resume(struct http_exchange *x)
{
	MHD_resume_connection(x->mhd);
	x->connection->server->run_now[x->connection->size] = true;
}

void
http_reply(struct http_request *r, int status, const char *content_type,
	   const void *body, size_t len)
{
	struct http_exchange *x = exchange_of(r);

	if (x->answered)
		return;
	x->answered = true;
	x->unqueued = !queue(x, status, content_type, body, len);
	if (x->kept)
		resume(x);
}

static void
reply_error(struct http_exchange *x, int status, const char *message)
{
	struct buf body = BUF_INIT;

	error_body(&body, status, message);
	if (status == 503)
		http_add_header(&x->r, "Retry-After", "1");
	/* Without memory the bare status still says what it must. */
	http_reply(&x->r, status, buf_failed(&body) ? NULL : "application/json",
		   body.data, buf_failed(&body) ? 0 : body.len);
	buf_release(&body);
}

void
http_reply_error(struct http_request *r, const struct verr *e)
{
	reply_error(exchange_of(r), verr_http(e), e->msg);
}

void
http_reply_metrics(struct http_request *r, unsigned groups)
{
	struct buf text = BUF_INIT;

	metric_render(&text, groups);
	if (buf_failed(&text))
		reply_error(exchange_of(r), 503, "out of memory");
	else
		http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8",
			   text.data, text.len);
	buf_release(&text);
}

/* The methods that the path takes, for 405 (RFC 9110 15.5.6). */
static void
add_allow(struct http_exchange *x)
{
	const struct http_route *route;
	struct buf allow = BUF_INIT;

	for (route = x->connection->server->routes; route->method; route++) {
		if (!path_matches(route, x->r.path))
			continue;
		if (allow.len > 0)
			buf_puts(&allow, ", ");
		buf_puts(&allow, strcmp(route->method, "*") == 0
					 ? "GET, POST"
					 : route->method);
	}
	if (!buf_failed(&allow))
		http_add_header(&x->r, "Allow", allow.data);
	buf_release(&allow);
}

static void
refuse(struct http_exchange *x)
{
	const char *realm = x->connection->server->realm;
	char challenge[128];

	if (x->refusal == 405)
		add_allow(x);
	if (x->refusal == 401) {
		snprintf(challenge, sizeof(challenge), "Basic realm=\"%s\"",
			 realm ? realm : "voip");
		http_add_header(&x->r, "WWW-Authenticate", challenge);
	}
	reply_error(x, x->refusal, x->why);
}

/* --- what MHD calls --------------------------------------------------- */

static enum MHD_Result
begin(struct http_exchange *x, const char *method)
{
	struct head h = { 0 };

	x->begun = true;
	x->r.received_ms = loop_now_ms();
	x->r.method = strcmp(method, "HEAD") == 0 ? "GET" : method;
	httpd_await_answer(x->connection);
	MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, take_header, &h);
	x->r.content_type = h.content_type;
	check_head(x, &h);
	if (h.length > x->limit && !h.expects && !x->unframed) {
		cut_body(x);
		return MHD_YES;
	}
	if (h.length > x->limit && !x->unframed) {
		/* A client that waits for 100 has not sent the body yet. */
		x->refusal = 413;
		x->why = "the body is too large";
	} else if (!x->unframed) {
		return MHD_YES;
	}
	/* An answer before the body closes the connection. */
	refuse(x);
	return x->unqueued ? MHD_NO : MHD_YES;
}

static enum MHD_Result
take_body(struct http_exchange *x, const char *data, size_t size)
{
	x->taken += size;
	if (x->cut)
		return x->taken > x->limit + DISCARD_MAX ? MHD_NO : MHD_YES;
	if (x->taken > x->limit) {
		cut_body(x);
		buf_release(&x->r.body);
		return MHD_YES;
	}
	if (x->refusal)
		return MHD_YES;
	buf_add(&x->r.body, data, size);
	if (buf_failed(&x->r.body)) {
		buf_release(&x->r.body);
		refuse_later(x, 503, "out of memory");
	}
	return MHD_YES;
}

static enum MHD_Result
finish(struct http_exchange *x)
{
	if (x->answered) /* resumed, and there is no answer to send */
		return MHD_NO;
	if (x->cut)
		return MHD_NO;
	if (x->refusal)
		refuse(x);
	else
		x->route->handler(&x->r, x->connection->server->arg);
	if (x->unqueued)
		return MHD_NO;
	if (!x->answered) {
		x->kept = true;
		MHD_suspend_connection(x->mhd);
	}
	return MHD_YES;
}

/* There was no memory for the request: say so, with what is left. */
static enum MHD_Result
refuse_unread(struct MHD_Connection *mhd)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		0, buf_empty, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result ok;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Retry-After", "1");
	ok = MHD_queue_response(mhd, 503, response);
	MHD_destroy_response(response);
	metric_add(METRIC_HTTP_REQUESTS, 1);
	metric_add(METRIC_HTTP_UNAVAILABLE, 1);
	return ok;
}

enum MHD_Result
httpdreq_handle(void *arg, struct MHD_Connection *mhd, const char *url,
		const char *method, const char *version, const char *data,
		size_t *size, void **context)
{
	struct http_exchange *x = *context;
	size_t taken = *size;

	(void)arg;
	(void)url;
	(void)version;
	if (!x)
		return refuse_unread(mhd);
	if (!x->begun)
		return begin(x, method);
	if (taken > 0) {
		*size = 0;
		return take_body(x, data, taken);
	}
	return finish(x);
}

void
httpdreq_completed(void *arg, struct MHD_Connection *mhd, void **context,
		   enum MHD_RequestTerminationCode how)
{
	struct http_exchange *x = *context;

	(void)arg;
	(void)mhd;
	(void)how;
	if (!x)
		return;
	*context = NULL;
	x->connection->current = NULL;
	x->connection->served = true;
	if (x->r.release)
		x->r.release(&x->r);
	buf_release(&x->r.body);
	buf_release(&x->headers);
	httpd_await_head(x->connection);
	free(x->target);
	free(x);
}

void
httpdreq_abandon(struct http_exchange *x)
{
	if (!x->kept || x->answered)
		return;
	x->answered = true;
	x->unqueued = true;
	resume(x);
}
