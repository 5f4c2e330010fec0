#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "form.h"
#include "hash.h"
#include "httpd_private.h"
#include "log.h"
#include "metrics.h"
#include "out.h"

/* --- the head --------------------------------------------------------- */

/* A method outlives the bytes that it was read from. */
static const char *
method_of(struct http_exchange *x, const char *given)
{
	static const char *const known[] = { "GET",   "POST",    "PUT",
					     "PATCH", "OPTIONS", "DELETE" };

	x->bodiless = strcmp(given, "HEAD") == 0;
	if (x->bodiless)
		return "GET";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(given, known[i]) == 0)
			return known[i];
	return "other";
}

/* The path of an absolute target ("http://host/path", RFC 9112 3.2.2). */
static const char *
skip_authority(const char *target)
{
	const char *slash;

	if (strncasecmp(target, "http://", 7) != 0)
		return target;
	slash = strchr(target + 7, '/');
	return slash ? slash : "/";
}

/* False when the path is no path. */
static bool
split_target(struct http_exchange *x, const char *text)
{
	struct buf *target = &x->connection->target;
	const char *path = skip_authority(text), *mark = strchr(path, '?');
	size_t len = mark ? (size_t)(mark - path) : strlen(path);
	bool good;

	buf_clear(target);
	form_decode(target, path, len, false);
	good = target->len && target->data[0] == '/' &&
	       !memchr(target->data, '\0', target->len);
	buf_putc(target, '\0');
	len = target->len;
	buf_puts(target, mark ? mark + 1 : "");
	if (buf_failed(target))
		return true;
	x->r.path = target->data;
	x->r.query = target->data + len;
	return good;
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
	x->limit = HTTP_LINE_MAX;
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
check_head(struct http_exchange *x, const struct http_head *h)
{
	int no_route = find_route(x);

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

static const char *
reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* As RFC 9110 5.6.7 has it, in English whatever the locale. */
static const char *
date_now(struct httpd *h)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed",
					 "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr",
					    "May", "Jun", "Jul", "Aug",
					    "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm t;

	if (now == h->date_s || !gmtime_r(&now, &t))
		return h->date;
	h->date_s = now;
	snprintf(h->date, sizeof(h->date), "%s, %02d %s %d %02d:%02d:%02d GMT",
		 days[t.tm_wday], t.tm_mday, months[t.tm_mon], t.tm_year + 1900,
		 t.tm_hour, t.tm_min, t.tm_sec);
	return h->date;
}

static void
put_number(struct buf *out, size_t n)
{
	char text[24], *p = text + sizeof(text) - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while (n /= 10);
	buf_puts(out, p);
}

static void
put_head(struct buf *out, struct http_exchange *x, int status,
	 const char *content_type, size_t len)
{
	buf_clear(out);
	buf_puts(out, "HTTP/1.1 ");
	put_number(out, (size_t)status);
	buf_putc(out, ' ');
	buf_puts(out, reason_of(status));
	buf_puts(out, "\r\nDate: ");
	buf_puts(out, date_now(x->connection->server));
	buf_puts(out, "\r\nContent-Length: ");
	put_number(out, len);
	if (content_type) {
		buf_puts(out, "\r\nContent-Type: ");
		buf_puts(out, content_type);
	}
	if (x->close)
		buf_puts(out, "\r\nConnection: close");
	buf_puts(out, "\r\n");
	buf_add(out, x->headers.data, x->headers.len);
	buf_puts(out, "\r\n");
	if (buf_failed(&x->headers))
		out->failed = true;
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

	buf_puts(headers, name);
	buf_puts(headers, ": ");
	/* A value cannot begin a line of its own. */
	for (; *value; value++)
		if ((unsigned char)*value >= ' ')
			buf_putc(headers, *value);
	buf_puts(headers, "\r\n");
}

void
http_reply(struct http_request *r, int status, const char *content_type,
	   const void *body, size_t len)
{
	struct http_exchange *x = exchange_of(r);
	struct http_connection *c = x->connection;
	struct buf *head = &c->server->head;

	if (x->answered)
		return;
	x->answered = true;
	x->close |= c->server->draining;
	put_head(head, x, status, content_type, len);
	httpconn_send(c, head, body, x->bodiless ? 0 : len);
	count(x, status);
	if (!x->handling)
		httpconn_answered(c);
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

/* --- from the head to the end ----------------------------------------- */

void
httpreq_refuse(struct http_exchange *x, int status, const char *why)
{
	if (!x->r.method) {
		x->r.method = x->r.path = x->r.query = "";
		x->r.received_ms = loop_now_ms();
	}
	x->refusal = status;
	x->why = why;
	x->unread = x->close = x->handling = true;
	refuse(x);
	x->handling = false;
}

void
httpreq_begin(struct http_exchange *x, const struct http_head *h)
{
	bool good;

	x->r.received_ms = loop_now_ms();
	x->r.path = x->r.query = "";
	x->r.method = method_of(x, h->method);
	good = split_target(x, h->target);
	x->close = h->close;
	x->chunked = h->chunked;
	x->expects = h->expects;
	x->length = h->length;
	x->type_at =
		h->content_type
			? (size_t)(h->content_type - x->connection->in.data)
			: 0;
	if (buf_failed(&x->connection->target))
		httpreq_refuse(x, 503, "out of memory");
	else if (h->encodings && !h->chunked)
		httpreq_refuse(x, 501, "the transfer encoding is unknown");
	else if (h->lengths > 1 || h->encodings > 1 ||
		 (h->lengths && h->encodings))
		httpreq_refuse(x, 400, "the length of the body is ambiguous");
	else if (!good)
		refuse_later(x, 400, "the path is malformed");
	check_head(x, h);
	if (!x->answered && x->length > x->limit)
		httpreq_refuse(x, 413, "the body is too large");
}

void
httpreq_finish(struct http_exchange *x)
{
	struct http_connection *c = x->connection;

	x->r.content_type = x->type_at ? c->in.data + x->type_at : NULL;
	x->handling = true;
	if (x->refusal)
		refuse(x);
	else
		x->route->handler(&x->r, c->server->arg);
	x->handling = false;
}

void
httpreq_release(struct http_exchange *x)
{
	char peer[sizeof(x->r.peer)];

	if (x->r.release)
		x->r.release(&x->r);
	buf_release(&x->headers);
	memcpy(peer, x->r.peer, sizeof(peer));
	*x = (struct http_exchange){ .r.body = BUF_INIT, .headers = BUF_INIT };
	memcpy(x->r.peer, peer, sizeof(peer));
}
