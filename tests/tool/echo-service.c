/*
 * echo-service: the smallest service, for the tests of httpd and service.
 *
 *   POST /echo     the body, at once
 *   GET  /query    the raw query, at once
 *   GET  /later/MS an answer after MS milliseconds; the request is kept
 *   GET  /large/N  N bytes
 *   GET  /error    what http_reply_error() makes of VERR_RETRY
 *   GET  /metrics  open
 *
 * The filter copies its arguments to standard output.  `released` counts the
 * requests that were released; /released tells it.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metrics.h"
#include "opt.h"
#include "service.h"

static struct loop *service_loop;
static long kept, released;

struct later {
	struct loop_timer timer;
	struct http_request *request;
};

static void
reply_text(struct http_request *r, const char *text, size_t len)
{
	http_reply(r, 200, "text/plain", text, len);
}

static void
on_echo(struct http_request *r, void *arg)
{
	(void)arg;
	http_add_header(r, "X-Peer", r->peer);
	reply_text(r, r->body.data, r->body.len);
}

static void
on_query(struct http_request *r, void *arg)
{
	(void)arg;
	reply_text(r, r->query, strlen(r->query));
}

static void
free_later(struct http_request *r)
{
	struct later *l = r->data;

	released++;
	loop_timer_clear(service_loop, &l->timer);
	free(l);
}

static void
answer_later(void *arg)
{
	struct later *l = arg;

	reply_text(l->request, "later\n", 6);
}

static void
on_later(struct http_request *r, void *arg)
{
	struct later *l = calloc(1, sizeof(*l));

	(void)arg;
	if (!l)
		abort();
	kept++;
	r->data = l;
	r->release = free_later;
	l->request = r;
	l->timer.fn = answer_later;
	l->timer.arg = l;
	loop_timer_set(service_loop, &l->timer,
		       strtol(r->path + strlen("/later/"), NULL, 10));
}

static void
on_large(struct http_request *r, void *arg)
{
	size_t len = strtoul(r->path + strlen("/large/"), NULL, 10);
	char *text = malloc(len + 1);

	(void)arg;
	if (!text)
		abort();
	memset(text, 'x', len);
	reply_text(r, text, len);
	free(text);
}

static void
on_error(struct http_request *r, void *arg)
{
	struct verr e = VERR_INIT;

	(void)arg;
	verr_set(&e, VERR_RETRY, "the \"database\" is away");
	http_reply_error(r, &e);
}

static void
on_released(struct http_request *r, void *arg)
{
	char text[64];

	(void)arg;
	snprintf(text, sizeof(text), "%ld of %ld\n", released, kept);
	reply_text(r, text, strlen(text));
}

static void
on_metrics(struct http_request *r, void *arg)
{
	(void)arg;
	http_reply_metrics(r, METRIC_GROUP_HTTP);
}

static const struct http_route routes[] = {
	{ "POST", "/echo", 1024 * 1024, false, on_echo },
	{ "*", "/query", 0, false, on_query },
	{ "GET", "/later/", 0, false, on_later },
	{ "GET", "/large/", 0, false, on_large },
	{ "GET", "/error", 0, false, on_error },
	{ "GET", "/released", 0, true, on_released },
	{ "GET", "/metrics", 0, true, on_metrics },
	{ .method = NULL },
};

static int
start(struct loop *loop, void **arg, struct verr *e)
{
	(void)arg;
	(void)e;
	service_loop = loop;
	return 0;
}

static bool
is_busy(void *arg)
{
	const char *file = getenv("ECHO_BUSY");

	(void)arg;
	return file && access(file, F_OK) == 0;
}

static int
filter(int argc, const char **argv, struct verr *e)
{
	int c;

	(void)e;
	for (int i = 0; i < argc; i++)
		printf("%s\n", argv[i]);
	if (argc == 0)
		while ((c = getchar()) != EOF)
			putchar(c);
	return 0;
}

static const struct service service = {
	.routes = routes,
	.credentials_setting = "dirxml_credentials",
	.listen_setting = "dirxml_listen",
	.start = start,
	.busy = is_busy,
	.filter = filter,
};

static struct service_face face;

static const struct poptOption options[] = { SERVICE_OPTIONS(face),
					     POPT_TABLEEND };

static int
run(int argc, const char **argv, struct verr *e)
{
	face.filter = argc > 0;
	return service_run(&service, &face, argc, argv, e);
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "[TEXT...]",
		.summary = "Echo, for the tests.",
		.options = options,
		.run = run,
	};

	return opt_main(argc, argv, &program);
}
