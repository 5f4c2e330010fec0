#include "witness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

struct asked {
	int fd;
	bool connects;
	bool raw;
	int family;
};

/* "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]:443" */
static struct addrinfo *
parse(char *word, bool *has_port, struct verr *e)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_STREAM };
	char whole[128], *host = word, *port = NULL, *end;
	struct addrinfo *found = NULL;

	snprintf(whole, sizeof(whole), "%s", word);
	if (*word == '[' && (end = strchr(word, ']'))) {
		host = word + 1;
		*end = '\0';
		port = end[1] == ':' ? end + 2 : NULL;
	} else if ((port = strchr(word, ':')) && !strchr(port + 1, ':')) {
		*port++ = '\0';
	} else {
		port = NULL;
	}
	*has_port = port != NULL;
	if (getaddrinfo(host, port, &hints, &found) != 0) {
		verr_set(e, VERR_CONFIG,
			 "'%s' is no address of a witness\n"
			 "hint: ADDRESS or ADDRESS:PORT, without names",
			 whole);
		return NULL;
	}
	return found;
}

static uint16_t
checksum(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = (sum >> 16) + (sum & 0xffff);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static int
send_echo(struct asked *a, const struct addrinfo *to)
{
	struct icmphdr echo;
	int protocol = IPPROTO_ICMP;

	memset(&echo, 0, sizeof(echo)); /* whole, for the sum */
	echo.type = ICMP_ECHO;
	if (to->ai_family == AF_INET6) {
		echo.type = ICMP6_ECHO_REQUEST;
		protocol = IPPROTO_ICMPV6;
	}
	a->fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       protocol);
	if (a->fd == -1) {
		a->raw = true;
		a->fd = socket(to->ai_family,
			       SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			       protocol);
	}
	if (a->fd == -1)
		return -1;
	echo.un.echo.id = htons((uint16_t)getpid());
	echo.checksum = checksum(&echo, sizeof(echo));
	/* Connected: only answers from there. */
	if (connect(a->fd, to->ai_addr, to->ai_addrlen) == -1)
		return 0;
	send(a->fd, &echo, sizeof(echo), 0);
	return 0;
}

static int
ask(struct asked *a, const struct addrinfo *to, bool has_port)
{
	a->family = to->ai_family;
	a->connects = has_port;
	if (!has_port)
		return send_echo(a, to);
	a->fd = socket(to->ai_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd == -1)
		return -1;
	connect(a->fd, to->ai_addr, to->ai_addrlen);
	return 0;
}

/* A raw socket hears every kind of message. */
static bool
is_echo_reply(const struct asked *a)
{
	unsigned char packet[256];
	ssize_t n = recv(a->fd, packet, sizeof(packet), 0);
	size_t head = a->raw && a->family == AF_INET && n > 0
			      ? (size_t)(packet[0] & 15) * 4
			      : 0;

	return n > (ssize_t)head &&
	       packet[head] == (a->family == AF_INET6 ? ICMP6_ECHO_REPLY
						      : ICMP_ECHOREPLY);
}

static bool
has_answered(const struct asked *a)
{
	int why = 0;
	socklen_t len = sizeof(why);

	if (!a->connects)
		return is_echo_reply(a);
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &why, &len) == -1)
		return false;
	return why == 0 || why == ECONNREFUSED;
}

static int
await(const struct asked *asked, size_t n, int64_t timeout_ms)
{
	int64_t end = loop_now_ms() + timeout_ms, left;
	struct pollfd fds[WITNESS_MAX];

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){
			.fd = asked[i].fd,
			.events = asked[i].connects ? POLLOUT : POLLIN,
		};
	while ((left = end - loop_now_ms()) > 0) {
		if (poll(fds, n, (int)left) <= 0)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (!fds[i].revents)
				continue;
			if (has_answered(&asked[i]))
				return 1;
			if (asked[i].connects || fds[i].revents & POLLERR)
				fds[i].fd = -1; /* it never will */
		}
	}
	return 0;
}

int
witness_ask(const char *list, int64_t timeout_ms, struct verr *e)
{
	struct asked asked[WITNESS_MAX] = { 0 };
	char *copy = strdup(list), *save = NULL;
	size_t n = 0;
	int rc = 0;

	if (!copy)
		return verr_set(e, VERR_RETRY, "out of memory");
	for (char *word = strtok_r(copy, " ,", &save); word && rc == 0;
	     word = strtok_r(NULL, " ,", &save)) {
		struct addrinfo *to;
		bool has_port;

		if (n == WITNESS_MAX) {
			rc = verr_set(e, VERR_CONFIG, "more than %d witnesses",
				      WITNESS_MAX);
			break;
		}
		to = parse(word, &has_port, e);
		if (!to)
			rc = -1;
		else if (ask(&asked[n], to, has_port) == -1)
			rc = verr_sys(e, VERR_SYSTEM,
				      "cannot ask the witness '%s'\n"
				      "hint: sysctl net.ipv4.ping_group_range",
				      word);
		else
			n++;
		if (to)
			freeaddrinfo(to);
	}
	if (rc == 0)
		rc = await(asked, n, timeout_ms);
	for (size_t i = 0; i < n; i++)
		close(asked[i].fd);
	free(copy);
	return rc;
}
