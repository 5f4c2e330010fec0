#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_PASSED 3
#define BACKLOG      4096 /* the kernel takes the smaller of it and somaxconn */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

/* --- what was passed -------------------------------------------------- */

static bool
option_is(int fd, int name, int value)
{
	int got = 0;
	socklen_t len = sizeof(got);

	return getsockopt(fd, SOL_SOCKET, name, &got, &len) == 0 &&
	       got == value;
}

enum listen_kind
listen_kind_of(int fd)
{
	union address peer = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);

	if (!option_is(fd, SO_TYPE, SOCK_STREAM))
		return LISTEN_NONE;
	if (option_is(fd, SO_ACCEPTCONN, 1))
		return LISTEN_LISTENING;
	if (getpeername(fd, &peer.any, &len) == -1)
		return LISTEN_NONE;
	return peer.any.sa_family == AF_INET || peer.any.sa_family == AF_INET6
		       ? LISTEN_CONNECTION
		       : LISTEN_NONE;
}

static long
number_of(const char *variable)
{
	const char *value = getenv(variable);
	char *end;
	long n;

	if (!value || !*value)
		return -1;
	errno = 0;
	n = strtol(value, &end, 10);
	return errno || *end ? -1 : n;
}

int
listen_passed(struct verr *e)
{
	long pid = number_of("LISTEN_PID");
	long n = number_of("LISTEN_FDS");
	int fd, flags;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != (long)getpid() || n <= 0)
		return 0;
	if (n > LISTEN_MAX)
		return verr_set(e, VERR_CONFIG,
				"%ld sockets were passed, %d are the limit", n,
				LISTEN_MAX);
	for (fd = FIRST_PASSED; fd < FIRST_PASSED + n; fd++) {
		flags = fcntl(fd, F_GETFD);
		if (flags == -1 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == -1)
			return verr_sys(e, VERR_CONFIG,
					"passed descriptor %d is unusable", fd);
		if (!option_is(fd, SO_TYPE, SOCK_STREAM))
			return verr_set(e, VERR_CONFIG,
					"passed descriptor %d is no stream "
					"socket",
					fd);
	}
	return (int)n;
}

/* --- addresses -------------------------------------------------------- */

static bool
is_loopback4(uint32_t address)
{
	return ntohl(address) >> 24 == IN_LOOPBACKNET;
}

bool
listen_is_local(int fd)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(a);
	uint32_t mapped;

	if (getsockname(fd, &a.any, &len) == -1)
		return false;
	if (a.any.sa_family == AF_INET)
		return is_loopback4(a.v4.sin_addr.s_addr);
	if (a.any.sa_family == AF_INET6) {
		memcpy(&mapped, &a.v6.sin6_addr.s6_addr[12], sizeof(mapped));
		return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr) &&
			is_loopback4(mapped));
	}
	return a.any.sa_family == AF_UNIX;
}

void
listen_name(int fd, char *name, size_t size)
{
	union address a = { .any.sa_family = AF_UNSPEC };
	socklen_t len = sizeof(a);
	char host[INET6_ADDRSTRLEN] = "";

	memset(&a, 0, sizeof(a));
	getsockname(fd, &a.any, &len);
	if (a.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a.v4.sin_addr, host, sizeof(host));
		snprintf(name, size, "%s:%d", host, ntohs(a.v4.sin_port));
	} else if (a.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a.v6.sin6_addr, host, sizeof(host));
		snprintf(name, size, "[%s]:%d", host, ntohs(a.v6.sin6_port));
	} else if (a.any.sa_family == AF_UNIX) {
		snprintf(name, size, "unix:%.*s", (int)sizeof(a.un.sun_path),
			 a.un.sun_path);
	} else {
		snprintf(name, size, "an unknown socket");
	}
}

/* --- unix sockets ----------------------------------------------------- */

static int
unix_address(const char *path, struct sockaddr_un *un, struct verr *e)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (path[0] != '/' || strlen(path) >= sizeof(un->sun_path))
		return verr_set(e, VERR_CONFIG,
				"socket path '%s' must be absolute and shorter "
				"than %zu bytes",
				path, sizeof(un->sun_path));
	memcpy(un->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Make way: remove a socket's file that nobody serves any more. */
static int
remove_stale(const struct sockaddr_un *un, struct verr *e)
{
	const char *path = un->sun_path;
	struct stat st;
	int fd, rc, saved;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0
				       : verr_sys(e, VERR_CONFIG,
						  "cannot look at '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return verr_set(e, VERR_CONFIG,
				"'%s' is there and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot create a socket");
	rc = connect(fd, (const struct sockaddr *)un, sizeof(*un));
	saved = errno;
	close(fd);
	/* A full backlog (EAGAIN) is served by somebody, too. */
	if (rc == 0 || saved != ECONNREFUSED)
		return verr_set(e, VERR_RETRY, "'%s' is in use", path);
	if (unlink(path) == -1 && errno != ENOENT)
		return verr_sys(e, VERR_CONFIG, "cannot remove '%s'", path);
	return 0;
}

static int
open_unix(const char *path, int *fd, struct verr *e)
{
	struct sockaddr_un un;
	mode_t mask;
	int rc;

	if (unix_address(path, &un, e) == -1 || remove_stale(&un, e) == -1)
		return -1;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*fd == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot create a socket");
	mask = umask(0117); /* 0660 from its first moment */
	rc = bind(*fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (rc == -1 || listen(*fd, BACKLOG) == -1) {
		verr_sys(e, VERR_CONFIG, "cannot listen on '%s'", path);
		close(*fd);
		return -1;
	}
	return 0;
}

/* --- TCP -------------------------------------------------------------- */

static int
bad_address(const char *address, struct verr *e)
{
	return verr_set(e, VERR_CONFIG,
			"'%s' is no address to listen on\n"
			"hint: ADDR:PORT, [ADDR]:PORT or unix:PATH",
			address);
}

/* Splits into host (NULL: all addresses) and port, both in `copy`. */
static int
split(char *copy, char **host, char **port, const char *address, struct verr *e)
{
	char *colon = strrchr(copy, ':');

	if (!colon || !colon[1])
		return bad_address(address, e);
	*colon = '\0';
	*port = colon + 1;
	*host = copy;
	if (copy[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		*host = copy + 1;
	} else if (strchr(copy, ':')) {
		return bad_address(address, e);
	}
	if (!**host)
		*host = NULL;
	return 0;
}

static int
open_one(const struct addrinfo *ai, struct verr *e)
{
	int on = 1, fd, saved;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1) /* no such family: a kernel without IPv6 */
		return verr_sys(
			e, errno == EAFNOSUPPORT ? VERR_CONFIG : VERR_SYSTEM,
			"cannot create a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return verr_sys(e, saved == EADDRINUSE ? VERR_RETRY : VERR_CONFIG,
			"cannot listen");
}

static int
open_tcp(const char *address, int fds[LISTEN_MAX], size_t *n, struct verr *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *list = NULL, *ai;
	char copy[512], *host = NULL, *port = NULL;
	int rc;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", address) >= sizeof(copy))
		return bad_address(address, e);
	if (split(copy, &host, &port, address, e) == -1)
		return -1;
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return verr_set(e, rc == EAI_AGAIN ? VERR_RETRY : VERR_CONFIG,
				"cannot listen on '%s': %s", address,
				gai_strerror(rc));
	for (ai = list; ai && *n < LISTEN_MAX; ai = ai->ai_next) {
		fds[*n] = open_one(ai, e);
		if (fds[*n] == -1)
			break;
		(*n)++;
	}
	freeaddrinfo(list);
	if (ai && *n < LISTEN_MAX) {
		listen_close(fds, *n);
		*n = 0;
		return verr_wrap(e, "address '%s'", address);
	}
	return 0;
}

int
listen_open(const char *address, int fds[LISTEN_MAX], size_t *n, struct verr *e)
{
	*n = 0;
	if (strncmp(address, "unix:", 5) != 0)
		return open_tcp(address, fds, n, e);
	if (open_unix(address + 5, &fds[0], e) == -1)
		return -1;
	*n = 1;
	return 0;
}

void
listen_close(const int *fds, size_t n)
{
	union address a;
	socklen_t len;

	for (size_t i = 0; i < n; i++) {
		memset(&a, 0, sizeof(a));
		len = sizeof(a);
		if (getsockname(fds[i], &a.any, &len) == 0 &&
		    a.any.sa_family == AF_UNIX && a.un.sun_path[0] == '/')
			unlink(a.un.sun_path);
		close(fds[i]);
	}
}
