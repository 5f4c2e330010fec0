/*
 * black-hole ADDRESS PORT: a listener that never answers.  Its backlog is full
 * of connections of its own, so the kernel drops the first packet of any other.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 64;
	to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	if (fd == -1 || bind(fd, (struct sockaddr *)&to, sizeof(to)) == -1 ||
	    listen(fd, 0) == -1) {
		perror("black-hole");
		return 71;
	}
	for (int i = 0; i < 4; i++) {
		int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (c != -1)
			connect(c, (struct sockaddr *)&to, sizeof(to));
	}
	pause();
	return 0;
}
