/*
 * service: the four faces of an endpoint program.
 *
 * Layer I/O.  service_run() chooses by what it finds, in this order:
 *   0. arguments that only the filter has (`filter`): the filter;
 *   1. sockets passed by systemd (LISTEN_FDS, LISTEN_PID): serve until idle
 *      for `idle_exit` or SIGTERM;
 *   2. `inetd` option, or standard input is a connected AF_INET/AF_INET6
 *      stream: serve that connection and exit; a listening standard input is
 *      served as in 1;
 *   3. `listen` option (ADDR:PORT, [ADDR]:PORT or unix:PATH): serve until
 *      SIGTERM;
 *   4. otherwise the filter: `filter` is run with the arguments.
 * In 1 to 3: SIGTERM and SIGINT finish what was accepted and end with 0 (a
 * second one ends at once), SIGHUP reloads the settings, NOTIFY_SOCKET gets
 * READY/RELOADING/STOPPING and WATCHDOG, SIGPIPE is ignored, core dumps hold no
 * secrets (not dumpable).  Serving beyond loopback without credentials is
 * refused (VERR_CONFIG), unless every route is open.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>

#include "httpd.h"
#include "loop.h"
#include "verr.h"

struct service {
	const struct http_route *routes;
	/* Name of the setting that holds "user:password", e.g.
	 * "dirxml_credentials"; may be NULL. */
	const char *credentials_setting;
	/* Name of the setting with the default address; may be NULL. */
	const char *listen_setting;
	/* Open what the handlers need; `*arg` goes to them.  May be NULL. */
	int (*start)(struct loop *loop, void **arg, struct verr *e);
	/* After the settings were read anew; may be NULL. */
	void (*reload)(void *arg);
	/* Work that forbids the idle exit, e.g. a spool; may be NULL. */
	bool (*busy)(void *arg);
	/* Finish: called once when draining starts; may be NULL. */
	void (*drain)(void *arg);
	/* Before the server is freed, which releases the requests that are
	 * still unanswered; may be NULL. */
	void (*stop)(void *arg);
	/* May be NULL: then there are only the other faces. */
	int (*filter)(int argc, const char **argv, struct verr *e);
};

struct service_face {
	char *listen; /* --listen, or NULL; "" means the setting */
	int inetd;    /* --inetd: not 0 */
	bool filter;  /* arguments were given that only a filter has */
};

/* The rows of popt(3) for the options that choose a face. */
/* clang-format off */
#define SERVICE_OPTIONS(face)                                          \
	{ "inetd", '\0', POPT_ARG_NONE, &(face).inetd, 0,             \
	  "serve the connection on standard input", NULL },            \
	{ "listen", '\0', POPT_ARG_STRING, &(face).listen, 0,         \
	  "serve at ADDRESS:PORT or unix:PATH", "ADDRESS" }
/* clang-format on */

int service_run(const struct service *s, const struct service_face *face,
		int argc, const char **argv, struct verr *e);

/* From `start` on: is there one connection to serve, and then the end? */
bool service_is_single(void);

/* "READY=1" and friends to NOTIFY_SOCKET; nothing without one. */
void service_notify(const char *state);

/*
 * For programs that serve nobody: a descriptor that can be read when SIGTERM or
 * SIGINT came, so that what is at work is finished.  The caller closes it; -1
 * on error.  SIGPIPE is ignored from then on.
 */
int service_stop_signals(struct verr *e);

#endif
