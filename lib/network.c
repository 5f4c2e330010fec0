#include "network.h"

#include <arpa/inet.h>
#include <string.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
read_prefix(unsigned *prefix, const char *text, unsigned max)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 3)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = 10 * value + (unsigned)(*text - '0');
	}
	*prefix = value;
	return value <= max;
}

static void
unmap(struct network *n)
{
	if (n->family != AF_INET6 || n->prefix < 96 ||
	    memcmp(n->address, mapped, sizeof(mapped)) != 0)
		return;
	n->family = AF_INET;
	n->prefix -= 96;
	memmove(n->address, n->address + sizeof(mapped), 4);
}

bool
network_parse(struct network *n, const char *text)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");

	memset(n, 0, sizeof(*n));
	if (len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, n->address) == 1) {
		n->family = AF_INET;
		n->prefix = 32;
	} else if (inet_pton(AF_INET6, address, n->address) == 1) {
		n->family = AF_INET6;
		n->prefix = 128;
	} else {
		return false;
	}
	if (text[len] && !read_prefix(&n->prefix, text + len + 1, n->prefix)) {
		n->family = 0;
		return false;
	}
	unmap(n);
	return true;
}

bool
network_has(const struct network *n, const char *address)
{
	struct network one;
	unsigned whole = n->prefix / 8, rest = n->prefix % 8;
	unsigned mask = (0xff00u >> rest) & 0xffu;

	if (strchr(address, '/') || !network_parse(&one, address) ||
	    one.family != n->family ||
	    memcmp(one.address, n->address, whole) != 0)
		return false;
	return !rest ||
	       (one.address[whole] & mask) == (n->address[whole] & mask);
}
