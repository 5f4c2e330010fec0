#include "sipmsg.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
sip_address(struct sockaddr_in *a, const char *text)
{
	char host[64];
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	*a = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(colon + 1)),
	};
	return inet_pton(AF_INET, host, &a->sin_addr) == 1;
}

int
sip_socket(const char *text)
{
	struct sockaddr_in a;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

	if (fd == -1 || !sip_address(&a, text))
		errx(64, "'%s' is not ADDRESS:PORT", text);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) == -1)
		err(71, "cannot bind to %s", text);
	return fd;
}

const char *
sip_header(const char *message, const char *name, unsigned n, size_t *len)
{
	size_t name_len = strlen(name);
	const char *line = strstr(message, "\r\n"), *end;

	for (; line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
		const char *value = line + 2 + name_len;

		if (strncasecmp(line + 2, name, name_len) != 0 ||
		    *value != ':' || n-- > 0)
			continue;
		value++;
		value += strspn(value, " \t");
		end = strstr(value, "\r\n");
		*len = end ? (size_t)(end - value) : strlen(value);
		return value;
	}
	*len = 0;
	return NULL;
}

void
sip_between(const char *text, size_t len, const char *before, const char *after,
	    char *out, size_t size)
{
	const char *from = memmem(text, len, before, strlen(before)), *to;
	size_t n;

	*out = '\0';
	if (!from)
		return;
	from += strlen(before);
	len -= (size_t)(from - text);
	to = memmem(from, len, after, strlen(after));
	n = to ? (size_t)(to - from) : len;
	snprintf(out, size, "%.*s", (int)n, from);
}
