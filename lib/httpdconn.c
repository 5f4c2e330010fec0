#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "httpd_private.h"
#include "log.h"
#include "metrics.h"

/* How much of a refused request is read so that the client sees the answer. */
#define DISCARD_MAX     (1024 * 1024)
#define KEEP_MAX        (16 * 1024) /* of a buffer from one request to the next */
#define SILENT_GRACE_MS 1000        /* while draining */

static void on_event(int fd, unsigned events, void *arg);
static void advance(struct http_connection *c);

/* --- deadlines -------------------------------------------------------- */

static void
miss_deadline(void *arg)
{
	struct http_connection *c = arg;
	bool is_request = c->state != HTTP_HEAD;

	/* Kept alive and unused is no fault, and who was told its own has
	 * its answer. */
	if ((is_request || !c->served || c->in.len) &&
	    c->state != HTTP_LINGER) {
		metric_add(METRIC_HTTP_DEADLINES, 1);
		log_event(LOG_LEVEL_INFO, "connection closed at its deadline",
			  "peer", c->exchange.r.peer, "path",
			  is_request ? c->exchange.r.path : NULL, NULL);
	}
	if (c->state != HTTP_KEPT) {
		httpd_end(c);
		return;
	}
	/* Its handler ends it. */
	c->broken = true;
	shutdown(c->fd, SHUT_RDWR);
}

/*
 * They are totals: one from the accept or the former answer to the end of the
 * head, one from there to the end of the answer.
 */
static void
set_deadline(struct http_connection *c)
{
	bool is_head = c->state == HTTP_HEAD;
	unsigned wanted = c->requests * 2 + (is_head ? 1 : 2);
	int64_t ms;

	if (c->timed == wanted)
		return;
	c->timed = wanted;
	ms = is_head ? c->server->head_ms : c->server->request_ms;
	if (is_head && c->server->draining && ms > SILENT_GRACE_MS)
		ms = SILENT_GRACE_MS;
	c->deadline.fn = miss_deadline;
	c->deadline.arg = c;
	loop_timer_set(c->server->loop, &c->deadline, ms);
}

void
httpconn_hurry(struct http_connection *c)
{
	c->timed = 0;
	set_deadline(c);
}

/* --- waiting ---------------------------------------------------------- */

/* False when the connection is over. */
static bool
watch(struct http_connection *c, unsigned events)
{
	struct verr e = VERR_INIT;
	struct loop *loop = c->server->loop;

	if (c->watched && c->watched != events)
		loop_modify_fd(loop, c->fd, events);
	if (!c->watched &&
	    loop_add_fd(loop, c->fd, events, on_event, c, &e) == -1) {
		log_warning("%s", e.msg);
		httpd_end(c);
		return false;
	}
	c->watched = events;
	return true;
}

/* A client that left makes its descriptor ready again and again. */
static void
stop_watching(struct http_connection *c)
{
	if (c->watched)
		loop_remove_fd(c->server->loop, c->fd);
	c->watched = 0;
}

/* --- sending ---------------------------------------------------------- */

static ssize_t
send_parts(struct http_connection *c, const struct buf *head, const void *body,
	   size_t len)
{
	struct iovec parts[2] = { { head->data, head->len },
				  { (void *)(uintptr_t)body, len } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = len ? 2 : 1 };
	ssize_t n;

	do
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n == -1 && errno == EINTR);
	return n == -1 && errno == EAGAIN ? 0 : n;
}

void
httpconn_send(struct http_connection *c, const struct buf *head,
	      const void *body, size_t len)
{
	ssize_t n;
	size_t sent;

	if (c->broken)
		return;
	n = buf_failed(head) ? -1 : send_parts(c, head, body, len);
	if (n == -1) {
		c->broken = true;
		return;
	}
	sent = (size_t)n;
	if (sent < head->len) {
		buf_add(&c->out, head->data + sent, head->len - sent);
		sent = head->len;
	}
	if (sent - head->len < len)
		buf_add(&c->out, (const char *)body + (sent - head->len),
			len - (sent - head->len));
	if (buf_failed(&c->out))
		c->broken = true;
}

static bool
is_sent(struct http_connection *c)
{
	const struct buf rest = { .data = c->out.data + c->sent,
				  .len = c->out.len - c->sent };
	ssize_t n;

	if (c->broken || !rest.len)
		return true;
	n = send_parts(c, &rest, NULL, 0);
	if (n == -1)
		c->broken = true;
	else
		c->sent += (size_t)n;
	return c->broken || c->sent == c->out.len;
}

/* --- from one request to the next ------------------------------------- */

static void
keep_little(struct buf *b)
{
	if (b->size > KEEP_MAX)
		buf_release(b);
	else
		buf_clear(b);
}

/* What was sent is gone; what follows in the input is the next request. */
static void
forget_request(struct http_connection *c)
{
	size_t used = c->used;

	if (c->exchange.r.body.data == c->in.data + used) {
		used += c->exchange.r.body.len;
		c->in.data[used] = c->saved;
	}
	httpreq_release(&c->exchange);
	if (used == c->in.len)
		keep_little(&c->in);
	else
		buf_skip(&c->in, used);
	keep_little(&c->body);
	keep_little(&c->out);
	c->sent = c->used = 0;
	c->scan = (struct http_scan){ 0 };
	c->served = true;
	c->requests++;
}

/* The answer was sent; false when the connection is over. */
static bool
end_request(struct http_connection *c)
{
	bool close = c->exchange.close || c->broken;
	bool linger = c->exchange.unread && !c->broken;

	if (linger) {
		c->state = HTTP_LINGER;
		c->exchange.taken = 0;
		shutdown(c->fd, SHUT_WR);
		buf_release(&c->in);
		c->exchange.r.body = BUF_INIT;
		return true;
	}
	forget_request(c);
	if (close) {
		httpd_end(c);
		return false;
	}
	c->state = HTTP_HEAD;
	return true;
}

/* --- taking in -------------------------------------------------------- */

/* In each of these: true when the state changed, false to wait for more. */

static bool
take_head(struct http_connection *c)
{
	struct http_exchange *x = &c->exchange;
	struct http_fault fault;
	struct http_head head;
	long len;

	if (c->in.len == 0)
		return false;
	len = http_head_scan(&c->scan, c->in.data, c->in.len, &fault);
	if (len == 0)
		return false;
	c->state = HTTP_BODY;
	x->connection = c;
	if (len == -1 || !http_head_parse(&head, &c->scan, c->in.data,
					  (size_t)len, &fault)) {
		httpreq_refuse(x, fault.status, fault.why);
		return true;
	}
	c->used = (size_t)len;
	c->chunks = (struct http_chunks){ 0 };
	httpreq_begin(x, &head);
	return true;
}

/* Bytes that nobody wants leave at once. */
static bool
drop_body(struct http_connection *c)
{
	struct http_exchange *x = &c->exchange;
	size_t n = c->in.len - c->used;

	if (n > x->length - x->taken)
		n = (size_t)(x->length - x->taken);
	x->taken += n;
	if (x->taken == x->length) {
		c->used += n;
		return true;
	}
	c->in.len = c->used;
	return false;
}

static bool
has_counted_body(struct http_connection *c)
{
	struct http_exchange *x = &c->exchange;

	if (x->refusal)
		return drop_body(c);
	if (c->in.len - c->used < x->length)
		return false;
	x->r.body = (struct buf){ .data = c->in.data + c->used,
				  .len = (size_t)x->length };
	c->saved = x->r.body.data[x->r.body.len];
	x->r.body.data[x->r.body.len] = '\0';
	return true;
}

static bool
has_chunked_body(struct http_connection *c)
{
	struct http_exchange *x = &c->exchange;
	size_t used;
	int end = http_chunks_take(
		&c->chunks, c->in.data + c->used, c->in.len - c->used, &used,
		x->refusal ? NULL : &c->body, &x->taken, x->limit);

	if (buf_failed(&c->body)) {
		httpreq_refuse(x, 503, "out of memory");
		return true;
	}
	if (end == 0 && x->taken <= x->limit) {
		c->in.len = c->used;
		return false;
	}
	c->used += used;
	if (end == -1)
		httpreq_refuse(x, 400, "a chunk is malformed");
	else if (x->taken > x->limit)
		httpreq_refuse(x, 413, "the body is too large");
	else
		x->r.body = c->body;
	return true;
}

static bool
take_body(struct http_connection *c)
{
	static char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	static const struct buf head = { .data = go_on,
					 .len = sizeof(go_on) - 1 };
	struct http_exchange *x = &c->exchange;

	if (!x->answered &&
	    !(x->chunked ? has_chunked_body(c) : has_counted_body(c))) {
		if (x->expects)
			httpconn_send(c, &head, NULL, 0);
		x->expects = false;
		return false;
	}
	if (!x->answered)
		httpreq_finish(x);
	c->state = x->answered ? HTTP_ANSWER : HTTP_KEPT;
	return true;
}

/* --- the states ------------------------------------------------------- */

/* As far as it goes with what is there; it may be over then. */
static void
advance(struct http_connection *c)
{
	for (;;) {
		bool moved = false;

		switch (c->state) {
		case HTTP_HEAD:
			moved = take_head(c);
			break;
		case HTTP_BODY:
			moved = take_body(c);
			break;
		case HTTP_ANSWER:
			moved = is_sent(c);
			if (moved && !end_request(c))
				return;
			break;
		case HTTP_KEPT:
		case HTTP_LINGER:
			break;
		}
		if (!moved)
			break;
	}
	set_deadline(c);
	if (c->state != HTTP_KEPT)
		watch(c, c->state == HTTP_ANSWER ? EPOLLOUT : EPOLLIN);
}

/* Returns false when nothing came; the connection may be over then. */
static bool
read_some(struct http_connection *c)
{
	struct httpd *h = c->server;
	ssize_t n = recv(c->fd, h->scratch, sizeof(h->scratch), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		set_deadline(c);
		watch(c, EPOLLIN);
		return false;
	}
	if (n > 0 && c->state == HTTP_LINGER) {
		c->exchange.taken += (size_t)n;
		if (c->exchange.taken <= DISCARD_MAX)
			return true;
		n = 0;
	}
	if (n > 0) {
		buf_add(&c->in, h->scratch, (size_t)n);
		if (!buf_failed(&c->in))
			return true;
		log_warning("out of memory for a request");
	}
	httpd_end(c);
	return false;
}

static void
on_event(int fd, unsigned events, void *arg)
{
	struct http_connection *c = arg;

	(void)fd;
	(void)events;
	if (c->state == HTTP_KEPT)
		stop_watching(c);
	else if (c->state == HTTP_ANSWER || read_some(c))
		advance(c);
}

static void
on_more(void *arg)
{
	advance(arg);
}

void
httpconn_start(struct http_connection *c)
{
	c->more.fn = on_more;
	c->more.arg = c;
	if (read_some(c))
		advance(c);
}

/* Not here: what follows may be a request that is answered out of the same
 * memory as the one whose answer this was. */
void
httpconn_answered(struct http_connection *c)
{
	c->state = HTTP_ANSWER;
	if (!is_sent(c)) {
		watch(c, EPOLLOUT);
		return;
	}
	if (!end_request(c))
		return;
	set_deadline(c);
	if (c->in.len)
		loop_timer_set(c->server->loop, &c->more, 0);
	else
		watch(c, EPOLLIN);
}
