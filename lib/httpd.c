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
#include "httpdreq.h"
#include "log.h"
#include "metrics.h"

/*
 * Of a connection: the head of the request and that of the answer.  The large
 * one holds a request line of 64 KiB.
 */
static const size_t connection_memory[HTTPD_SIZES] = { 32 * 1024, 128 * 1024 };

#define PEEK             4096 /* a first line that ends in it is short */
#define ACCEPT_AT_ONCE   64   /* then others have their turn */
#define STARVED_PAUSE_MS 100  /* after accept() found no descriptor */
#define SILENT_GRACE_MS  1000 /* while draining */

struct http_listener {
	struct httpd *server;
	int fd;
	bool own;
	bool watched;
	struct http_listener *next;
};

/* --- deadlines -------------------------------------------------------- */

static void
miss_deadline(void *arg)
{
	struct http_connection *c = arg;

	/* MHD sees the end of the stream and closes; a suspended connection
	 * it closes when the handler answers. */
	shutdown(c->fd, SHUT_RDWR);
	if (!c->current && c->served)
		return; /* kept alive and unused: no fault */
	metric_add(METRIC_HTTP_DEADLINES, 1);
	log_event(LOG_LEVEL_INFO, "connection closed at its deadline", "peer",
		  c->peer, "path", c->current ? c->current->r.path : NULL,
		  NULL);
}

void
httpd_await_head(struct http_connection *c)
{
	int64_t ms = conf_ms("http_head_timeout");

	if (c->server->draining && ms > SILENT_GRACE_MS)
		ms = SILENT_GRACE_MS;
	loop_timer_set(c->server->loop, &c->deadline, ms);
}

void
httpd_await_answer(struct http_connection *c)
{
	loop_timer_set(c->server->loop, &c->deadline, conf_ms("http_timeout"));
}

/* --- accepting -------------------------------------------------------- */

static bool
is_full(const struct httpd *h)
{
	return h->count >= (size_t)conf_int("http_connections");
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

static void
name_peer(struct http_connection *c, const struct sockaddr *address)
{
	char host[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *v6 = (const void *)address;
	const struct sockaddr_in *v4 = (const void *)address;

	if (address->sa_family == AF_INET &&
	    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)))
		snprintf(c->peer, sizeof(c->peer), "%s:%d", host,
			 ntohs(v4->sin_port));
	else if (address->sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)))
		snprintf(c->peer, sizeof(c->peer), "[%s]:%d", host,
			 ntohs(v6->sin6_port));
	else
		snprintf(c->peer, sizeof(c->peer), "unix");
}

static void
link_connection(struct httpd *h, struct http_connection *c)
{
	c->next = h->connections;
	if (c->next)
		c->next->prev = c;
	h->connections = c;
	h->count++;
	h->last_active_ms = loop_now_ms();
	metric_add(METRIC_HTTP_CONNECTIONS, 1);
	metric_set(METRIC_HTTP_OPEN, (int64_t)h->count);
	httpd_await_head(c);
}

static void
tell_empty(struct httpd *h)
{
	if (h->when_empty && h->count == 0)
		loop_timer_set(h->loop, &h->empty, 0);
}

static void
end_connection(struct httpd *h, struct http_connection *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		h->connections = c->next;
	if (c->next)
		c->next->prev = c->prev;
	loop_timer_clear(h->loop, &c->deadline);
	free(c);
	h->count--;
	h->last_active_ms = loop_now_ms();
	metric_set(METRIC_HTTP_OPEN, (int64_t)h->count);
	watch_listeners(h);
	tell_empty(h);
}

/* Hand a connection to MHD; it is closed and over when that fails. */
static int
hand_over(struct http_connection *c, enum httpd_size size, struct verr *e)
{
	struct httpd *h = c->server;

	c->size = size;
	h->adding = c;
	h->run_now[size] = true;
	if (MHD_add_connection(h->daemons[size], c->fd,
			       (struct sockaddr *)&c->address,
			       c->address_len) == MHD_YES)
		return 0;
	verr_sys(e, VERR_RETRY, "cannot serve a connection");
	/* Unless MHD had started it: then it ended and freed it, too. */
	if (h->adding)
		end_connection(h, h->adding);
	h->adding = NULL;
	return -1;
}

/*
 * The size is chosen by what came: a line without an end may become long.
 * Large memory costs more than all else of a request, so nobody gets it for
 * having connected a moment before writing.
 */
static bool
choose_size(int fd, enum httpd_size *size)
{
	char start[PEEK];
	ssize_t n = recv(fd, start, sizeof(start), MSG_PEEK | MSG_DONTWAIT);

	*size = n <= 0 || memchr(start, '\n', (size_t)n) ? HTTPD_SMALL
							 : HTTPD_LARGE;
	return n != -1 || (errno != EAGAIN && errno != EINTR);
}

static void
on_first_bytes(int fd, unsigned events, void *arg)
{
	struct http_connection *c = arg;
	struct verr e = VERR_INIT;
	enum httpd_size size;

	(void)events;
	if (!choose_size(fd, &size))
		return;
	loop_remove_fd(c->server->loop, fd);
	c->silent = false;
	if (hand_over(c, size, &e) == -1)
		log_warning("%s", e.msg);
}

/* Take a connected socket; closed when that fails. */
static int
adopt(struct httpd *h, int fd, const struct sockaddr *address, socklen_t len,
      struct verr *e)
{
	struct http_connection *c = calloc(1, sizeof(*c));
	enum httpd_size size;

	if (!c) {
		close(fd);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	c->server = h;
	c->fd = fd;
	c->deadline.fn = miss_deadline;
	c->deadline.arg = c;
	memcpy(&c->address, address, len);
	c->address_len = len;
	name_peer(c, address);
	link_connection(h, c);
	if (choose_size(fd, &size))
		return hand_over(c, size, e);
	c->silent = true;
	if (loop_add_fd(h->loop, fd, EPOLLIN, on_first_bytes, c, e) == 0)
		return 0;
	close(fd);
	end_connection(h, c);
	return -1;
}

static void
close_silent(struct httpd *h)
{
	struct http_connection *c = h->connections, *next;

	for (; c; c = next) {
		next = c->next;
		if (!c->silent)
			continue;
		loop_remove_fd(h->loop, c->fd);
		close(c->fd);
		end_connection(h, c);
	}
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
		if (adopt(h, fd, (struct sockaddr *)&address, len, &e) == -1)
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
	return adopt(h, fd, (struct sockaddr *)&address, len, e);
}

/* --- connections ------------------------------------------------------ */

static void
on_connection(void *arg, struct MHD_Connection *mhd, void **context,
	      enum MHD_ConnectionNotificationCode code)
{
	struct httpd *h = arg;

	(void)mhd;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = h->adding;
		h->adding = NULL;
	} else if (*context) {
		end_connection(h, *context);
	}
}

size_t
httpd_connections(const struct httpd *h)
{
	return h->count;
}

int64_t
httpd_last_active_ms(const struct httpd *h)
{
	return h->count > 0 ? loop_now_ms() : h->last_active_ms;
}

/* --- the daemon in the loop ------------------------------------------- */

static void
run_daemon(struct httpd *h, int size)
{
	h->run_now[size] = false;
	MHD_run(h->daemons[size]);
}

static void
on_daemon(int fd, unsigned events, void *arg)
{
	struct httpd *h = arg;

	(void)events;
	run_daemon(h,
		   fd == h->epoll_fds[HTTPD_SMALL] ? HTTPD_SMALL : HTTPD_LARGE);
}

static bool
is_due(const struct httpd *h, int size)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return h->run_now[size] ||
	       MHD_get_timeout(h->daemons[size], &ms) == MHD_YES;
}

/* MHD has no timeouts of its own here, but work that no descriptor shows. */
static int64_t
prepare(void *arg)
{
	struct httpd *h = arg;

	for (int size = 0; size < HTTPD_SIZES; size++)
		for (int i = 0; i < 4 && is_due(h, size); i++)
			run_daemon(h, size);
	return is_due(h, HTTPD_SMALL) || is_due(h, HTTPD_LARGE) ? 0 : -1;
}

/* The raw path is decoded by httpdreq_line(), once. */
static size_t
leave_escaped(void *arg, struct MHD_Connection *mhd, char *s)
{
	(void)arg;
	(void)mhd;
	return strlen(s);
}

static int
start_daemon(struct httpd *h, int size, struct verr *e)
{
	const union MHD_DaemonInfo *info;

	/* clang-format off */
	h->daemons[size] = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_NO_LISTEN_SOCKET,
		0, NULL, NULL, httpdreq_handle, h,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory[size],
		MHD_OPTION_CONNECTION_LIMIT, 1U << 30,
		MHD_OPTION_URI_LOG_CALLBACK, httpdreq_line, h,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, httpdreq_completed, h,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
	/* clang-format on */
	if (!h->daemons[size])
		return verr_set(e, VERR_SYSTEM, "cannot start libmicrohttpd");
	info = MHD_get_daemon_info(h->daemons[size], MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return verr_set(e, VERR_SYSTEM,
				"libmicrohttpd has no epoll descriptor");
	h->epoll_fds[size] = info->epoll_fd;
	return loop_add_fd(h->loop, info->epoll_fd, EPOLLIN, on_daemon, h, e);
}

int
httpd_set_credentials(struct httpd *h, const char *credentials, struct verr *e)
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
	h->epoll_fds[HTTPD_SMALL] = h->epoll_fds[HTTPD_LARGE] = -1;
	h->last_active_ms = loop_now_ms();
	h->retry.fn = on_retry;
	h->retry.arg = h;
	h->empty.fn = on_empty;
	h->empty.arg = h;
	if (httpd_set_credentials(h, o->credentials, e) == -1 ||
	    start_daemon(h, HTTPD_SMALL, e) == -1 ||
	    start_daemon(h, HTTPD_LARGE, e) == -1) {
		httpd_free(h);
		return NULL;
	}
	loop_set_prepare(loop, prepare, h);
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
	loop_set_prepare(h->loop, NULL, NULL);
	close_silent(h);
	for (struct http_connection *c = h->connections; c; c = c->next)
		if (c->current)
			httpdreq_abandon(c->current);
	for (int size = 0; size < HTTPD_SIZES; size++) {
		if (!h->daemons[size])
			continue;
		if (h->epoll_fds[size] != -1)
			loop_remove_fd(h->loop, h->epoll_fds[size]);
		MHD_stop_daemon(h->daemons[size]);
	}
	loop_timer_clear(h->loop, &h->retry);
	loop_timer_clear(h->loop, &h->empty);
	httpd_set_credentials(h, NULL, &e);
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
	struct http_connection *c;
	int waiting;

	httpd_when_empty(h, done, arg);
	if (h->draining)
		return;
	h->draining = true;
	empty_backlogs(h);
	h->accepting = false;
	forget_listeners(h);
	for (c = h->connections; c; c = c->next) {
		if (c->current)
			continue;
		if (c->served && ioctl(c->fd, FIONREAD, &waiting) == 0 &&
		    waiting == 0)
			shutdown(c->fd, SHUT_RDWR);
		else
			httpd_await_head(c);
	}
	h->run_now[HTTPD_SMALL] = h->run_now[HTTPD_LARGE] = true;
	tell_empty(h);
}
