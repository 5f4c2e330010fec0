/*
 * fsload: captured lookups as fast as they are answered, for the benchmarks.
 *
 * Each request goes out on a connection of its own, as FreeSWITCH does it, or
 * on kept ones.  With --users each asks for another of so many users, counted
 * from the first: the last `user=` of its form is what the answer depends on.
 * Prints one line: requests answered with 200, others, seconds, requests per
 * second, and latencies in microseconds.
 *
 * Exit status: 0 when every request got 200, 1 when not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <popt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/capture.h"

enum { FILES_MAX = 32, ANSWER_MAX = 1 << 20, SILENCE_MS = 20000 };

struct form {
	char *wire;
	size_t len;
	char *user; /* in it, of as many digits as the last one has */
};

struct connection {
	int fd; /* -1: none */
	size_t have;
	double started;
	char in[ANSWER_MAX];
};

static char *option_target, *option_users;
static int option_connections = 8, option_count = 10000, option_keep;

/* clang-format off */
static const struct poptOption options[] = {
	{ "connections", 'c', POPT_ARG_INT, &option_connections, 0,
	  "requests at a time (8)", "N" },
	{ "count", 'n', POPT_ARG_INT, &option_count, 0,
	  "send N requests, in rounds over the files (10000)", "N" },
	{ "keep-alive", 'k', POPT_ARG_NONE, &option_keep, 0,
	  "use connections again", NULL },
	{ "target", 't', POPT_ARG_STRING, &option_target, 0,
	  "replace the requests' path", "PATH" },
	{ "users", 'u', POPT_ARG_STRING, &option_users, 0,
	  "ask for COUNT users whose names are numbers from FIRST on", "FIRST:COUNT" },
	POPT_AUTOHELP
	POPT_TABLEEND
};
/* clang-format on */

static struct sockaddr_in address;
static struct form forms[FILES_MAX];
static int n_forms;
static long users_first, users_count;
static int users_digits;
static int poller;
static int sent, others;
static size_t done;
static double *latencies;

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

/* A request with room for the longest name in place of its user's. */
static void
make_form(struct form *f, const struct capture *c)
{
	char *wire = capture_wire(c, &(struct capture_change){ 0 }, &f->len);
	char *body = strstr(wire, "\r\n\r\n"), *user = NULL, *p, *length;
	size_t old, grown;
	char number[24];

	f->wire = wire;
	for (p = body; p && (p = strstr(p, "&user=")); p++)
		user = p + strlen("&user=");
	if (!users_count || !user)
		return;
	old = strspn(user, "0123456789");
	grown = f->len + (size_t)users_digits - old;
	length = strcasestr(wire, "content-length:");
	if (!length || length > body)
		die(EX_DATAERR, "'%s' has no length", c->file);
	length += strspn(length + 15, " ") + 15;
	snprintf(number, sizeof(number), "%-*zu",
		 (int)strspn(length, "0123456789"),
		 grown - (size_t)(body + 4 - wire));
	memcpy(length, number, strlen(number));
	f->wire = need(calloc(1, grown + 1));
	memcpy(f->wire, wire, (size_t)(user - wire));
	f->user = f->wire + (user - wire);
	memcpy(f->user + users_digits, user + old,
	       f->len - (size_t)(user - wire) - old);
	f->len = grown;
	free(wire);
}

static void
read_forms(const char **files)
{
	for (; files && files[n_forms]; n_forms++) {
		struct capture c = { 0 };

		if (n_forms == FILES_MAX)
			die(EX_USAGE, "more than %d files", FILES_MAX);
		capture_read(&c, files[n_forms], option_target);
		make_form(&forms[n_forms], &c);
		capture_release(&c);
	}
	if (!n_forms)
		die(EX_USAGE, "no files given");
}

static void
send_next(struct connection *c)
{
	struct form *f = &forms[sent % n_forms];
	char name[24];

	if (f->user) {
		snprintf(name, sizeof(name), "%0*ld", users_digits,
			 users_first + sent % users_count);
		memcpy(f->user, name, (size_t)users_digits);
	}
	sent++;
	c->have = 0;
	if (send(c->fd, f->wire, f->len, MSG_NOSIGNAL) != (ssize_t)f->len)
		die(EX_OSERR, "cannot send: %s", strerror(errno));
}

/* On loopback it is there when connect() returns. */
static void
open_next(struct connection *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->fd = -1;
	if (sent == option_count)
		return;
	c->started = now_us();
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		die(EX_OSERR, "cannot connect: %s", strerror(errno));
	send_next(c);
	epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static bool
is_complete(const struct connection *c)
{
	const char *body = strstr(c->in, "\r\n\r\n"), *length;

	if (!body)
		return false;
	length = strcasestr(c->in, "content-length:");
	return length && length < body &&
	       c->have >= (size_t)(body + 4 - c->in) +
				  strtoul(length + 15, NULL, 10);
}

static void
take_answer(struct connection *c)
{
	ssize_t n =
		recv(c->fd, c->in + c->have, sizeof(c->in) - c->have - 1, 0);
	bool ended = n <= 0;

	if (n > 0)
		c->have += (size_t)n;
	c->in[c->have] = '\0';
	if (!ended && !is_complete(c))
		return;
	if (strncmp(c->in, "HTTP/1.1 200 ", 13) == 0 && is_complete(c))
		latencies[done++] = now_us() - c->started;
	else
		others++;
	if (option_keep && !ended && sent < option_count) {
		c->started = now_us();
		send_next(c);
		return;
	}
	close(c->fd);
	open_next(c);
}

static double
play(void)
{
	struct connection *all =
		need(calloc((size_t)option_connections, sizeof(*all)));
	double began = now_us();

	for (int i = 0; i < option_connections; i++)
		open_next(&all[i]);
	while (done + (size_t)others < (size_t)option_count) {
		struct epoll_event events[64];
		int n = epoll_wait(poller, events, 64, SILENCE_MS);

		if (n == 0)
			die(EX_TEMPFAIL, "no answer within %d s",
			    SILENCE_MS / 1000);
		for (int i = 0; i < n; i++)
			take_answer(events[i].data.ptr);
	}
	began = (now_us() - began) / 1e6;
	free(all);
	return began;
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
parse_options(int argc, const char **argv)
{
	poptContext ctx = poptGetContext("fsload", argc, argv, options, 0);
	int rc = poptGetNextOpt(ctx);
	const char *where = poptGetArg(ctx);
	char host[64];
	unsigned port;

	if (rc < -1)
		die(EX_USAGE, "%s: %s", poptBadOption(ctx, 0),
		    poptStrerror(rc));
	if (!where || sscanf(where, "%63[0-9.]:%u", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
	    option_connections < 1 || option_count < 1)
		die(EX_USAGE, "usage: fsload [OPTION...] ADDRESS:PORT FILE...");
	if (option_users &&
	    (sscanf(option_users, "%ld:%ld", &users_first, &users_count) != 2 ||
	     users_count < 1))
		die(EX_USAGE, "'%s' is not FIRST:COUNT", option_users);
	users_digits = snprintf(NULL, 0, "%ld", users_first + users_count - 1);
	address.sin_family = AF_INET;
	address.sin_port = htons((unsigned short)port);
	read_forms(poptGetArgs(ctx));
	poptFreeContext(ctx);
}

int
main(int argc, const char **argv)
{
	double seconds;

	parse_options(argc, argv);
	poller = epoll_create1(EPOLL_CLOEXEC);
	latencies = need(calloc((size_t)option_count, sizeof(*latencies)));
	seconds = play();
	qsort(latencies, done, sizeof(*latencies), by_size);
	printf("ok %zu other %d seconds %.3f per_s %.0f p50_us %.0f "
	       "p99_us %.0f max_us %.0f\n",
	       done, others, seconds, (double)done / seconds,
	       done ? latencies[done / 2] : 0.0,
	       done ? latencies[done * 99 / 100] : 0.0,
	       done ? latencies[done - 1] : 0.0);
	free(latencies);
	return others ? 1 : 0;
}
