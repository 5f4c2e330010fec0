/*
 * fsplay: play captured FreeSWITCH requests against our endpoints.
 *
 * Each request goes out on a connection of its own, as FreeSWITCH does it.
 * With --count the files are played in rounds with new uuids each (capture.h);
 * the same command line always sends the same legs.
 *
 * Exit status: 0 when every request got a 2xx, 1 when not.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <popt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/capture.h"

enum { ANSWER_MAX = 4 << 20 };

/* One request of one round. */
struct job {
	const struct capture *capture;
	struct capture_change change;
	char leg[CAPTURE_UUID_LEN + 1]; /* "" when it is no CDR */
	int64_t start_us; /* of the leg, as sent; 0 when it is no CDR */
	unsigned tries;
	int status; /* the last one; 0: no answer */
	double ms;
};

struct connection {
	int fd;
	struct job *job; /* NULL: free */
	char *out;
	size_t out_len, out_done;
	char *in;
	size_t in_len;
	double started, wake; /* wake: not before this moment */
};

static char *option_target, *option_ledger;
static int option_body, option_summary, option_repeat, option_now;
static int option_connections = 1, option_count, option_seed = 1;
static int option_timeout = 30, option_give_up = 60, option_delay = 100;
static int option_spread, option_rate;

static struct sockaddr_storage address;
static socklen_t address_len;
static struct capture *captures;
static size_t n_captures;
static double play_started;
static int64_t shift_s; /* added to every time of a capture */

/* clang-format off */
static const struct poptOption options[] = {
	{ "target", 't', POPT_ARG_STRING, &option_target, 0,
	  "replace the request's path, keep its query; one that ends with / gets the captured path's name", "PATH" },
	{ "body", 'b', POPT_ARG_NONE, &option_body, 0,
	  "print the answers' bodies and nothing else", NULL },
	{ "summary", 's', POPT_ARG_NONE, &option_summary, 0,
	  "print counts and latencies, not each request", NULL },
	{ "connections", 'c', POPT_ARG_INT, &option_connections, 0,
	  "requests at a time (1)", "N" },
	{ "rate", 0, POPT_ARG_INT, &option_rate, 0,
	  "start N requests a second, each when it is due or as soon as a connection is free after that", "N" },
	{ "count", 'n', POPT_ARG_INT, &option_count, 0,
	  "send N requests in rounds over the files, each round with new uuids; 0: each file once as it is", "N" },
	{ "seed", 0, POPT_ARG_INT, &option_seed, 0,
	  "of the new uuids (1)", "N" },
	{ "now", 0, POPT_ARG_NONE, &option_now, 0,
	  "move the calls in time: the latest of them ended just now", NULL },
	{ "spread", 0, POPT_ARG_INT, &option_spread, 0,
	  "spread the rounds over so many seconds back from there", "SECONDS" },
	{ "repeat-until-2xx", 'r', POPT_ARG_NONE, &option_repeat, 0,
	  "send a request again until it gets a 2xx", NULL },
	{ "delay", 0, POPT_ARG_INT, &option_delay, 0,
	  "pause before sending again (100)", "MS" },
	{ "give-up", 0, POPT_ARG_INT, &option_give_up, 0,
	  "end after so many seconds whatever is left (60)", "SECONDS" },
	{ "timeout", 0, POPT_ARG_INT, &option_timeout, 0,
	  "of one request (30)", "SECONDS" },
	{ "ledger", 'l', POPT_ARG_STRING, &option_ledger, 0,
	  "write leg_uuid, start_us, status, tries of each CDR as tsv", "FILE" },
	POPT_AUTOHELP
	POPT_TABLEEND
};
/* clang-format on */

static double
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void
parse_address(const char *text)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	char host[256];
	const char *colon = strrchr(text, ':');
	int rc;

	if (!strncmp(text, "unix:", 5)) {
		if (strlen(text + 5) >= sizeof(un->sun_path))
			die(EX_USAGE, "the path of '%s' is too long", text);
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
		address_len = sizeof(*un);
		return;
	}
	if (!colon)
		die(EX_USAGE, "'%s' is not HOST:PORT or unix:PATH", text);
	if (*text == '[' && colon > text && colon[-1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text - 2),
			 text + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc)
		die(EX_USAGE, "cannot find '%s': %s", text, gai_strerror(rc));
	memcpy(&address, found->ai_addr, found->ai_addrlen);
	address_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void
connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	free(c->out);
	free(c->in);
	c->out = c->in = NULL;
	c->out_len = c->out_done = c->in_len = 0;
}

/* Where the final answer starts, past any `100 Continue`; NULL: not yet. */
static char *
answer_head(const struct connection *c, char **body)
{
	char *head = c->in, *end;

	if (!head)
		return NULL;
	for (;;) {
		end = memmem(head, c->in_len - (size_t)(head - c->in),
			     "\r\n\r\n", 4);
		if (!end)
			return NULL;
		*body = end + 4;
		if (strncmp(head, "HTTP/1.1 1", 10) != 0)
			return head;
		head = end + 4;
	}
}

static bool
answer_complete(const struct connection *c, bool closed)
{
	char *head, *body, *p;
	size_t have;

	head = answer_head(c, &body);
	if (!head)
		return false;
	have = c->in_len - (size_t)(body - c->in);
	for (p = head; p < body - 2; p = strstr(p, "\r\n") + 2)
		if (!strncasecmp(p, "content-length:", 15))
			return have >= strtoull(p + 15, NULL, 10);
	return closed;
}

/* The request is over; its connection waits `delay` when it must go again. */
static void
connection_done(struct connection *c, bool answered)
{
	char *body = NULL, *head = answered ? answer_head(c, &body) : NULL;
	struct job *j = c->job;

	j->ms = now_ms() - c->started;
	j->status = 0;
	if (head && sscanf(head, "HTTP/1.%*d %d", &j->status) != 1)
		j->status = 0;
	if (option_repeat && j->status / 100 != 2) {
		connection_close(c);
		c->wake = now_ms() + option_delay;
		return;
	}
	if (option_body && body)
		fwrite(body, 1, c->in_len - (size_t)(body - c->in), stdout);
	connection_close(c);
	c->job = NULL;
	if (!option_body && !option_summary)
		printf("%-6d  %9.2f  %s\n", j->status, j->ms, j->capture->file);
}

static void
connection_open(struct connection *c)
{
	c->job->tries++;
	c->started = now_ms();
	c->out = capture_wire(c->job->capture, &c->job->change, &c->out_len);
	c->fd = socket(address.ss_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die(EX_OSERR, "cannot make a socket: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&address, address_len) != 0 &&
	    errno != EINPROGRESS)
		connection_done(c, false);
}

static void
connection_write(struct connection *c)
{
	ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
			 MSG_NOSIGNAL);

	if (n >= 0)
		c->out_done += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		/* it may have answered (413) before it closed */
		c->out_done = c->out_len;
}

static void
connection_read(struct connection *c)
{
	char chunk[16384];
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_done(c, answer_complete(c, true));
		return;
	}
	if (c->in_len + (size_t)n > ANSWER_MAX) {
		connection_done(c, false);
		return;
	}
	c->in = need(realloc(c->in, c->in_len + (size_t)n + 1));
	memcpy(c->in + c->in_len, chunk, (size_t)n);
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	if (answer_complete(c, false))
		connection_done(c, true);
}

/* When the n-th request is to start. */
static double
due(size_t n)
{
	return option_rate ? play_started + (double)n * 1e3 / option_rate : 0;
}

/* Give every free connection a job; how many are at work or to come. */
static unsigned
fill(struct connection *all, struct job *jobs, size_t n_jobs, size_t *next)
{
	double now = now_ms();
	unsigned busy = 0;

	for (int i = 0; i < option_connections; i++) {
		struct connection *c = &all[i];

		if (!c->job && *next < n_jobs && now >= due(*next)) {
			c->job = &jobs[(*next)++];
			c->wake = now;
		}
		if (!c->job)
			continue;
		busy++;
		if (c->fd < 0 && now >= c->wake)
			connection_open(c);
	}
	return busy + (*next < n_jobs);
}

/* Until something can be due; ppoll() because a millisecond is much here. */
static struct timespec
pause_before(size_t next, size_t n_jobs)
{
	double ms = 20, left = due(next) - now_ms();

	if (option_rate && next < n_jobs && left < ms)
		ms = left > 0 ? left : 0;
	return (struct timespec){ .tv_nsec = (long)(ms * 1e6) };
}

static void
play(struct job *jobs, size_t n_jobs)
{
	struct connection *all =
		need(calloc((size_t)option_connections, sizeof(*all)));
	struct pollfd *polls =
		need(calloc((size_t)option_connections, sizeof(*polls)));
	double end = now_ms() + option_give_up * 1e3;
	struct timespec pause;
	size_t next = 0;

	play_started = now_ms();
	for (int i = 0; i < option_connections; i++)
		all[i].fd = -1;
	while (fill(all, jobs, n_jobs, &next) > 0 && now_ms() < end) {
		for (int i = 0; i < option_connections; i++) {
			polls[i].fd = all[i].fd; /* -1 is passed over */
			polls[i].events = POLLIN;
			if (all[i].out_done < all[i].out_len)
				polls[i].events |= POLLOUT;
		}
		pause = pause_before(next, n_jobs);
		ppoll(polls, (nfds_t)option_connections, &pause, NULL);
		for (int i = 0; i < option_connections; i++) {
			struct connection *c = &all[i];

			if (c->fd < 0 || c->fd != polls[i].fd)
				continue;
			if (polls[i].revents & POLLOUT)
				connection_write(c);
			if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
				connection_read(c);
			else if (now_ms() - c->started > option_timeout * 1e3)
				connection_done(c, false);
		}
	}
	for (int i = 0; i < option_connections; i++)
		connection_close(&all[i]);
	free(all);
	free(polls);
}

static int
by_ms(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
print_summary(const struct job *jobs, size_t n, double total_ms)
{
	double *ms = need(calloc(n + 1, sizeof(*ms)));
	size_t ok = 0, unsent = 0, tries = 0;

	for (size_t i = 0; i < n; i++) {
		tries += jobs[i].tries;
		unsent += jobs[i].tries == 0;
		if (jobs[i].status / 100 == 2)
			ms[ok++] = jobs[i].ms;
	}
	qsort(ms, ok, sizeof(*ms), by_ms);
	printf("requests  2xx     other   unsent  tries   seconds  per_s    "
	       "p50_ms   p95_ms   p99_ms   max_ms\n"
	       "%-9zu %-7zu %-7zu %-7zu %-7zu %-8.2f %-8.0f %-8.2f %-8.2f "
	       "%-8.2f %.2f\n",
	       n, ok, n - ok - unsent, unsent, tries, total_ms / 1e3,
	       (double)ok / (total_ms / 1e3), ok ? ms[ok / 2] : 0.0,
	       ok ? ms[ok * 95 / 100] : 0.0, ok ? ms[ok * 99 / 100] : 0.0,
	       ok ? ms[ok - 1] : 0.0);
	free(ms);
}

static void
write_ledger(const struct job *jobs, size_t n)
{
	FILE *f = fopen(option_ledger, "w");

	if (!f)
		die(EX_OSERR, "cannot create '%s': %s", option_ledger,
		    strerror(errno));
	fputs("leg_uuid\tstart_us\tstatus\ttries\n", f);
	for (size_t i = 0; i < n; i++)
		if (jobs[i].leg[0])
			fprintf(f, "%s\t%lld\t%d\t%u\n", jobs[i].leg,
				(long long)jobs[i].start_us, jobs[i].status,
				jobs[i].tries);
	if (fclose(f) != 0)
		die(EX_OSERR, "cannot write '%s'", option_ledger);
}

static void
read_captures(const char **files)
{
	int64_t end, latest = 0;

	for (; files && files[n_captures]; n_captures++) {
		captures = need(realloc(captures,
					(n_captures + 1) * sizeof(*captures)));
		captures[n_captures] = (struct capture){ 0 };
		capture_read(&captures[n_captures], files[n_captures],
			     option_target);
		end = capture_epoch(&captures[n_captures], "end_uepoch");
		if (end > latest)
			latest = end;
	}
	if (!n_captures)
		die(EX_USAGE, "no files given");
	if (option_now && latest)
		shift_s = time(NULL) - latest / 1000000 - 1;
}

static void
job_init(struct job *j, size_t i)
{
	unsigned rounds = (unsigned)option_count / (unsigned)n_captures + 1;

	j->capture = &captures[i % n_captures];
	j->change.new_uuids = option_count > 0;
	j->change.seed = option_seed;
	j->change.round = (unsigned)(i / n_captures);
	j->change.seconds =
		shift_s - (int64_t)option_spread * j->change.round / rounds;
	j->start_us = capture_leg(j->capture, &j->change, j->leg);
}

int
main(int argc, const char **argv)
{
	poptContext ctx = poptGetContext("fsplay", argc, argv, options, 0);
	size_t n, ok = 0;
	struct job *jobs;
	const char *where;
	double started;
	int rc;

	poptSetOtherOptionHelp(ctx, "[OPTION...] HOST:PORT|unix:PATH FILE...");
	rc = poptGetNextOpt(ctx);
	if (rc < -1)
		die(EX_USAGE, "%s: %s", poptBadOption(ctx, 0),
		    poptStrerror(rc));
	where = poptGetArg(ctx);
	if (!where || option_connections < 1 || option_count < 0 ||
	    option_rate < 0)
		die(EX_USAGE, "usage: fsplay [OPTION...] "
			      "HOST:PORT|unix:PATH FILE...");
	if (option_target && !*option_target)
		die(EX_USAGE, "--target is empty");
	signal(SIGPIPE, SIG_IGN);
	parse_address(where);
	read_captures(poptGetArgs(ctx));
	n = option_count ? (size_t)option_count : n_captures;
	jobs = need(calloc(n, sizeof(*jobs)));
	for (size_t i = 0; i < n; i++)
		job_init(&jobs[i], i);

	if (!option_body && !option_summary)
		puts("status         ms  request");
	started = now_ms();
	play(jobs, n);
	if (!option_body)
		print_summary(jobs, n, now_ms() - started);
	if (option_ledger)
		write_ledger(jobs, n);
	for (size_t i = 0; i < n; i++)
		ok += jobs[i].status / 100 == 2;
	for (size_t i = 0; i < n_captures; i++)
		capture_release(&captures[i]);
	free(captures);
	free(jobs);
	poptFreeContext(ctx);
	return ok == n ? 0 : 1;
}
