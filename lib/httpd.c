#include "httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "b64.h"
#include "conf.h"
#include "hash.h"
#include "httpd_private.h"
#include "log.h"
#include "metrics.h"

#define ACCEPT_AT_ONCE   64  /* then others have their turn */
#define STARVED_PAUSE_MS 100 /* after accept() found no descriptor */

struct http_listener {
	struct httpd *server;
	int fd;
	bool own;
	bool watched;
	struct http_listener *next;
};

/* --- accepting -------------------------------------------------------- */

static bool
is_full(const struct httpd *h)
{
	return h->count >= h->connections_max;
}

static void
watch_listeners(struct httpd *h)
{
	bool wanted = h->accepting && !h->starved && !is_full(h);
	struct http_listener *l;

	for (l = h->listeners; l; l = l->next) {
		if (l->watched == wanted)
			continue;
		l->watched = wanted;
		loop_modify_fd(h->loop, l->fd, wanted ? EPOLLIN : 0);
	}
}

static void
forget_listeners(struct httpd *h)
{
	struct http_listener *l;

	while ((l = h->listeners)) {
		h->listeners = l->next;
		loop_remove_fd(h->loop, l->fd);
		free(l);
	}
}

static char *
put_number(char *to, unsigned n)
{
	if (n >= 10)
		to = put_number(to, n / 10);
	*to++ = (char)('0' + n % 10);
	return to;
}

/* For every connection, so without a format to interpret. */
static void
name_v4(char *to, const struct sockaddr_in *v4)
{
	const unsigned char *bytes = (const void *)&v4->sin_addr;

	for (int i = 0; i < 4; i++) {
		to = put_number(to, bytes[i]);
		*to++ = i < 3 ? '.' : ':';
	}
	*put_number(to, ntohs(v4->sin_port)) = '\0';
}

static void
name_peer(char *peer, size_t size, const struct sockaddr *address)
{
	char host[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		name_v4(peer, (const void *)address);
	else if (address->sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)))
		snprintf(peer, size, "[%s]:%d", host, ntohs(v6->sin6_port));
	else
		snprintf(peer, size, "unix");
}

static void
link_connection(struct httpd *h, struct http_connection *c)
{
	c->next = h->connections;
	if (c->next)
		c->next->prev = c;
	h->connections = c;
	h->count++;
	metric_add(METRIC_HTTP_CONNECTIONS, 1);
	metric_set(METRIC_HTTP_OPEN, (int64_t)h->count);
}

static void
tell_empty(struct httpd *h)
{
	if (h->when_empty && h->count == 0)
		loop_timer_set(h->loop, &h->empty, 0);
}

void
httpd_end(struct http_connection *c)
{
	struct httpd *h = c->server;

	if (c->prev)
		c->prev->next = c->next;
	else
		h->connections = c->next;
	if (c->next)
		c->next->prev = c->prev;
	loop_timer_clear(h->loop, &c->deadline);
	loop_timer_clear(h->loop, &c->more);
	if (c->watched)
		loop_remove_fd(h->loop, c->fd);
	close(c->fd);
	httpreq_release(&c->exchange);
	buf_release(&c->in);
	buf_release(&c->target);
	buf_release(&c->body);
	buf_release(&c->out);
	free(c);
	h->count--;
	metric_set(METRIC_HTTP_OPEN, (int64_t)h->count);
	if (h->count == 0)
		h->last_active_ms = loop_now_ms();
	watch_listeners(h);
	tell_empty(h);
}

/* Take a connected socket; closed when that fails. */
static int
adopt(struct httpd *h, int fd, const struct sockaddr *address, struct verr *e)
{
	struct http_connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	c->server = h;
	c->fd = fd;
	c->in = c->target = c->body = c->out = BUF_INIT;
	c->exchange.r.body = c->exchange.headers = BUF_INIT;
	name_peer(c->exchange.r.peer, sizeof(c->exchange.r.peer), address);
	link_connection(h, c);
	httpconn_start(c);
	return 0;
}

static void
on_retry(void *arg)
{
	struct httpd *h = arg;

	h->starved = false;
	watch_listeners(h);
}

/* Returns false when there is nothing more to accept now. */
static bool
accept_one(struct http_listener *l)
{
	struct httpd *h = l->server;
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(address);
	struct verr e = VERR_INIT;
	int fd = accept4(l->fd, (struct sockaddr *)&address, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd != -1) {
		if (adopt(h, fd, (struct sockaddr *)&address, &e) == -1)
			log_warning("%s", e.msg);
		return true;
	}
	switch (errno) {
	case EAGAIN:
	case EINTR:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		/* The listener stays readable: wait, rather than spin. */
		log_warning("cannot accept a connection: %s", strerror(errno));
		h->starved = true;
		loop_timer_set(h->loop, &h->retry, STARVED_PAUSE_MS);
		return false;
	default: /* that of a client which left, see accept(2) */
		return true;
	}
}

static void
on_listener(int fd, unsigned events, void *arg)
{
	struct http_listener *l = arg;

	(void)fd;
	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE && !is_full(l->server); i++)
		if (!accept_one(l))
			break;
	watch_listeners(l->server);
}

int
httpd_add_listener(struct httpd *h, int fd, bool own, struct verr *e)
{
	struct http_listener *l = calloc(1, sizeof(*l));
	int flags = fcntl(fd, F_GETFL);

	if (!l)
		return verr_set(e, VERR_RETRY, "out of memory");
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		free(l);
		return verr_sys(e, VERR_SYSTEM, "cannot use listening socket");
	}
	l->server = h;
	l->fd = fd;
	l->own = own;
	l->watched = true;
	if (loop_add_fd(h->loop, fd, EPOLLIN, on_listener, l, e) == -1) {
		free(l);
		return -1;
	}
	l->next = h->listeners;
	h->listeners = l;
	h->accepting = true;
	return 0;
}

int
httpd_add_connection(struct httpd *h, int fd, struct verr *e)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &len) == -1) {
		verr_sys(e, VERR_SYSTEM, "descriptor %d is not connected", fd);
		close(fd);
		return -1;
	}
	return adopt(h, fd, (struct sockaddr *)&address, e);
}

int64_t
httpd_last_active_ms(const struct httpd *h)
{
	return h->count > 0 ? loop_now_ms() : h->last_active_ms;
}

/* --- life ------------------------------------------------------------- */

static int
set_credentials(struct httpd *h, const char *credentials, struct verr *e)
{
	struct buf encoded = BUF_INIT;
	char *text = NULL;

	if (credentials && *credentials) {
		b64_encode(&encoded, credentials, strlen(credentials));
		if (!buf_failed(&encoded))
			text = buf_detach(&encoded);
		if (!text) {
			buf_release(&encoded);
			return verr_set(e, VERR_RETRY, "out of memory");
		}
	}
	if (h->credentials)
		hash_wipe(h->credentials, strlen(h->credentials));
	free(h->credentials);
	h->credentials = text;
	return 0;
}

static void
read_settings(struct httpd *h)
{
	h->connections_max = (size_t)conf_int("http_connections");
	h->head_ms = conf_ms("http_head_timeout");
	h->request_ms = conf_ms("http_timeout");
}

int
httpd_reload(struct httpd *h, const char *credentials, struct verr *e)
{
	read_settings(h);
	watch_listeners(h);
	return set_credentials(h, credentials, e);
}

static void
on_empty(void *arg)
{
	struct httpd *h = arg;

	if (h->count == 0 && h->when_empty)
		h->when_empty(h->when_empty_arg);
}

struct httpd *
httpd_new(struct loop *loop, const struct httpd_options *o, struct verr *e)
{
	struct httpd *h = calloc(1, sizeof(*h));

	if (!h) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	h->loop = loop;
	h->routes = o->routes;
	h->arg = o->arg;
	h->realm = o->realm;
	h->head = BUF_INIT;
	read_settings(h);
	h->last_active_ms = loop_now_ms();
	h->retry.fn = on_retry;
	h->retry.arg = h;
	h->empty.fn = on_empty;
	h->empty.arg = h;
	if (set_credentials(h, o->credentials, e) == -1) {
		httpd_free(h);
		return NULL;
	}
	return h;
}

void
httpd_free(struct httpd *h)
{
	struct verr e;

	if (!h)
		return;
	h->draining = false;
	h->accepting = false;
	forget_listeners(h);
	while (h->connections) {
		/* Who answers it from its release is too late. */
		h->connections->exchange.answered = true;
		httpd_end(h->connections);
	}
	loop_timer_clear(h->loop, &h->retry);
	loop_timer_clear(h->loop, &h->empty);
	set_credentials(h, NULL, &e);
	buf_release(&h->head);
	free(h);
}

/* --- stopping --------------------------------------------------------- */

/* What the kernel accepted for us would be reset when we close the socket. */
static void
empty_backlogs(struct httpd *h)
{
	struct http_listener *l;

	for (l = h->listeners; l; l = l->next)
		while (l->own && accept_one(l))
			;
}

void
httpd_when_empty(struct httpd *h, void (*fn)(void *arg), void *arg)
{
	h->when_empty = fn;
	h->when_empty_arg = arg;
}

void
httpd_drain(struct httpd *h, void (*done)(void *arg), void *arg)
{
	struct http_connection *c, *next;
	int waiting;

	httpd_when_empty(h, done, arg);
	if (h->draining)
		return;
	h->draining = true;
	empty_backlogs(h);
	h->accepting = false;
	forget_listeners(h);
	for (c = h->connections; c; c = next) {
		next = c->next;
		if (c->state != HTTP_HEAD)
			continue;
		if (c->served && !c->in.len &&
		    ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting == 0)
			httpd_end(c);
		else
			httpconn_hurry(c);
	}
	tell_empty(h);
}
