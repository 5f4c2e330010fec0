#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "listen.h"
#include "log.h"

#define FIRST_PASSED   3
#define BUSY_AGAIN_MS  1000
#define SPARE_FDS      256  /* besides those of the connections */
#define DRAIN_EXTRA_MS 2000 /* beyond the deadline of the last request */

static bool is_single;

struct running {
	const struct service *s;
	struct loop *loop;
	struct httpd *httpd;
	void *arg; /* of the callbacks */
	int signal_fd;
	int opened[LISTEN_MAX]; /* made by us */
	size_t opened_count;
	bool is_public; /* reachable from elsewhere */
	bool may_idle;  /* activated: somebody starts us again */
	bool stopping;
	struct loop_timer idle;
	struct loop_timer watchdog;
	int64_t watchdog_ms;
	struct loop_timer hurry;
};

/* --- systemd ---------------------------------------------------------- */

void
service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(un.sun_path))
		return;
	memcpy(un.sun_path, path, len);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		   (struct sockaddr *)&un,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ==
	    -1)
		log_warning("cannot notify '%s': %s", path, strerror(errno));
	close(fd);
}

int
service_stop_signals(struct verr *e)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1 ||
	    (fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot wait for signals");
	return fd;
}

static void
on_watchdog(void *arg)
{
	struct running *run = arg;

	service_notify("WATCHDOG=1");
	loop_timer_set(run->loop, &run->watchdog, run->watchdog_ms);
}

/* Twice as often as systemd asks for, see sd_watchdog_enabled(3). */
static void
start_watchdog(struct running *run)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return;
	run->watchdog_ms = strtoll(usec, NULL, 10) / 2000;
	if (run->watchdog_ms > 0)
		on_watchdog(run);
}

/* --- settings --------------------------------------------------------- */

static const char *
credentials_of(const struct service *s)
{
	return s->credentials_setting ? conf_str(s->credentials_setting) : "";
}

static int
check_credentials(const struct running *run, struct verr *e)
{
	const struct http_route *route;
	const char *credentials = credentials_of(run->s);

	if (*credentials && !strchr(credentials, ':'))
		return verr_set(e, VERR_CONFIG,
				"setting '%s' must be user:password",
				run->s->credentials_setting);
	if (!run->is_public || *credentials)
		return 0;
	for (route = run->s->routes; route->method; route++)
		if (!route->open)
			return verr_set(e, VERR_CONFIG,
					"refused to serve beyond loopback "
					"without credentials\n"
					"hint: set '%s', or listen on "
					"127.0.0.1",
					run->s->credentials_setting
						? run->s->credentials_setting
						: "credentials");
	return 0;
}

static void
reload(struct running *run)
{
	struct verr e = VERR_INIT;
	struct timespec now;
	char state[80];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		 (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	service_notify(state);
	if (conf_load(&e) == -1 || check_credentials(run, &e) == -1 ||
	    httpd_reload(run->httpd, credentials_of(run->s), &e) == -1) {
		log_error("settings not reloaded: %s", e.msg);
	} else {
		if (run->s->reload)
			run->s->reload(run->arg);
		log_info("settings reloaded");
	}
	service_notify("READY=1");
}

/* --- ending ----------------------------------------------------------- */

static void
finish(void *arg)
{
	struct running *run = arg;

	loop_stop(run->loop);
}

/* Those of an activated service belong to who passed them. */
static void
close_own(struct running *run)
{
	listen_close(run->opened, run->may_idle ? 0 : run->opened_count);
	run->opened_count = 0;
}

static void
start_draining(struct running *run, const char *why)
{
	if (run->stopping) {
		loop_stop(run->loop);
		return;
	}
	run->stopping = true;
	log_info("stopping: %s", why);
	service_notify("STOPPING=1");
	loop_timer_clear(run->loop, &run->idle);
	loop_timer_set(run->loop, &run->hurry,
		       conf_ms("http_timeout") + DRAIN_EXTRA_MS);
	if (run->s->drain)
		run->s->drain(run->arg);
	httpd_drain(run->httpd, finish, run);
	close_own(run);
}

/*
 * Connections that arrive from now on wait in the backlog of the socket, which
 * systemd or inetd watches again when we are gone.
 */
static void
on_idle(void *arg)
{
	struct running *run = arg;
	int64_t limit = conf_ms("idle_exit");
	int64_t left = httpd_last_active_ms(run->httpd) + limit - loop_now_ms();

	if (limit == 0) /* may change with the settings */
		loop_timer_set(run->loop, &run->idle, BUSY_AGAIN_MS * 60);
	else if (left > 0)
		loop_timer_set(run->loop, &run->idle, left);
	else if (run->s->busy && run->s->busy(run->arg))
		loop_timer_set(run->loop, &run->idle, BUSY_AGAIN_MS);
	else
		start_draining(run, "idle");
}

static void
on_signal(int fd, unsigned events, void *arg)
{
	struct running *run = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(run);
	else
		start_draining(run,
			       info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
}

static int
watch_signals(struct running *run, struct verr *e)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (run->signal_fd == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot watch signals");
	return loop_add_fd(run->loop, run->signal_fd, EPOLLIN, on_signal, run,
			   e);
}

/* --- faces ------------------------------------------------------------ */

static int
add_socket(struct running *run, int fd, bool own, struct verr *e)
{
	char name[128];

	if (!listen_is_local(fd))
		run->is_public = true;
	if (check_credentials(run, e) == -1)
		return -1;
	if (listen_kind_of(fd) == LISTEN_LISTENING) {
		listen_name(fd, name, sizeof(name));
		log_info("listening on %s", name);
		return httpd_add_listener(run->httpd, fd, own, e);
	}
	httpd_when_empty(run->httpd, finish, run);
	return httpd_add_connection(run->httpd, fd, e);
}

static int
add_passed(struct running *run, int n, struct verr *e)
{
	for (int fd = FIRST_PASSED; fd < FIRST_PASSED + n; fd++) {
		if (listen_kind_of(fd) == LISTEN_LISTENING)
			run->may_idle = true;
		if (add_socket(run, fd, false, e) == -1)
			return -1;
	}
	return 0;
}

/*
 * The connection of inetd is on 0, 1 and 2: what the program says must not get
 * into the answer, and only one descriptor may keep the connection open.
 */
static int
take_standard_input(struct verr *e)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, FIRST_PASSED);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat socket_stat, st;

	if (fd == -1 || null == -1 || fstat(fd, &socket_stat) == -1) {
		verr_sys(e, VERR_SYSTEM, "cannot take over standard input");
		if (fd != -1)
			close(fd);
		if (null != -1)
			close(null);
		return -1;
	}
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (fstat(i, &st) == 0 && st.st_dev == socket_stat.st_dev &&
		    st.st_ino == socket_stat.st_ino)
			dup2(null, i);
	if (null > STDERR_FILENO)
		close(null);
	return fd;
}

static int
add_standard_input(struct running *run, struct verr *e)
{
	int fd = take_standard_input(e);

	if (fd == -1)
		return -1;
	if (listen_kind_of(fd) == LISTEN_LISTENING) {
		run->may_idle = true;
		run->opened[run->opened_count++] = fd;
	}
	return add_socket(run, fd, false, e);
}

static int
add_listen(struct running *run, const char *address, struct verr *e)
{
	if (!*address && run->s->listen_setting)
		address = conf_str(run->s->listen_setting);
	if (listen_open(address, run->opened, &run->opened_count, e) == -1)
		return -1;
	for (size_t i = 0; i < run->opened_count; i++)
		if (add_socket(run, run->opened[i], true, e) == -1)
			return -1;
	return 0;
}

/* --- running ---------------------------------------------------------- */

/* A descriptor for each connection, as far as we may. */
static void
raise_descriptors(void)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)conf_int("http_connections") + SPARE_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int
open_parts(struct running *run, struct verr *e)
{
	struct httpd_options o = {
		.routes = run->s->routes,
		.credentials = credentials_of(run->s),
		.realm = "voip",
	};

	run->loop = loop_new(e);
	if (!run->loop || watch_signals(run, e) == -1)
		return -1;
	if (run->s->start && run->s->start(run->loop, &run->arg, e) == -1)
		return -1;
	o.arg = run->arg;
	run->httpd = httpd_new(run->loop, &o, e);
	return run->httpd ? 0 : -1;
}

static int
serve(struct running *run, struct verr *e)
{
	if (run->may_idle)
		on_idle(run);
	start_watchdog(run);
	service_notify("READY=1");
	return loop_run(run->loop, e);
}

static void
close_parts(struct running *run)
{
	/* Ending work that requests wait for may still answer them. */
	if (run->s->stop && run->arg)
		run->s->stop(run->arg);
	httpd_free(run->httpd);
	close_own(run);
	if (run->signal_fd != -1)
		close(run->signal_fd);
	loop_free(run->loop);
}

bool
service_is_single(void)
{
	return is_single;
}

/* No socket that listens: neither passed, nor to be opened, nor as input. */
static bool
has_no_listener(const struct service_face *face, int passed)
{
	for (int fd = FIRST_PASSED; fd < FIRST_PASSED + passed; fd++)
		if (listen_kind_of(fd) == LISTEN_LISTENING)
			return false;
	return passed > 0 || (!face->listen &&
			      listen_kind_of(STDIN_FILENO) != LISTEN_LISTENING);
}

static int
run_server(const struct service *s, const struct service_face *face, int passed,
	   struct verr *e)
{
	struct running run = { .s = s, .signal_fd = -1 };
	int rc;

	run.idle = (struct loop_timer){ .fn = on_idle, .arg = &run };
	run.watchdog = (struct loop_timer){ .fn = on_watchdog, .arg = &run };
	run.hurry = (struct loop_timer){ .fn = finish, .arg = &run };
	prctl(PR_SET_DUMPABLE, 0);
	raise_descriptors();
	is_single = has_no_listener(face, passed);
	rc = open_parts(&run, e);
	if (rc == 0 && passed > 0)
		rc = add_passed(&run, passed, e);
	else if (rc == 0 && face->listen)
		rc = add_listen(&run, face->listen, e);
	else if (rc == 0)
		rc = add_standard_input(&run, e);
	if (rc == 0)
		rc = serve(&run, e);
	close_parts(&run);
	return rc;
}

int
service_run(const struct service *s, const struct service_face *face, int argc,
	    const char **argv, struct verr *e)
{
	struct service_face chosen = *face;
	int passed;

	if (chosen.filter && (chosen.listen || chosen.inetd))
		return verr_set(e, VERR_USAGE,
				"'%s' serves, and other arguments ask for an "
				"answer on standard output\n"
				"hint: one of the two",
				chosen.listen ? "--listen" : "--inetd");
	if (chosen.filter && s->filter)
		return s->filter(argc, argv, e);
	passed = listen_passed(e);
	if (passed == -1)
		return -1;
	if (passed > 0)
		return run_server(s, &chosen, passed, e);
	if (listen_kind_of(STDIN_FILENO) != LISTEN_NONE) {
		chosen.listen = NULL;
		return run_server(s, &chosen, 0, e);
	}
	if (chosen.inetd)
		return verr_set(e, VERR_USAGE,
				"standard input is no connection");
	if (chosen.listen)
		return run_server(s, &chosen, 0, e);
	if (s->filter)
		return s->filter(argc, argv, e);
	return verr_set(e, VERR_USAGE,
			"no socket was passed and no address given\n"
			"hint: --listen ADDR:PORT");
}
