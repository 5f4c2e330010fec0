/*
 * esl-peer PORT DIR [MODE]: an event socket that stands for FreeSWITCH's.
 *
 * Listens on 127.0.0.1:PORT (0: any; the address is printed), password ClueCon,
 * one connection after the other.  Each command is a line of DIR/log: its
 * words, split and unescaped as FreeSWITCH does it, with a tab between them; a
 * message of several lines has "MORE" in front.  A command that asks for a list
 * is answered with the file DIR/NAME ("queues", "agents", "tiers",
 * "gateways", "status", "calls", "registrations", "profiles", "recover"), or
 * -ERR without it; every other one with +OK.
 *
 * MODE: ok; refusing (the password), denied (the address), silent (no answers),
 * slow (300 ms each), dying (at its third command), once (closes after one
 * command that was answered), garbage, endless (a head without end), huge (an
 * answer without end), events (others' messages between).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"

static const char *dir;
static const char *mode = "ok";
static FILE *commands;

static const char *const lists[][2] = {
	{ "api callcenter_config queue list", "queues" },
	{ "api callcenter_config agent list", "agents" },
	{ "api callcenter_config tier list", "tiers" },
	{ "api sofia xmlstatus gateway", "gateways" },
	{ "api status", "status" },
	{ "api show calls count", "calls" },
	{ "api show registrations count", "registrations" },
	{ "api sofia status", "profiles" },
	{ "api sofia recover", "recover" },
};

static bool
is(const char *word)
{
	return strcmp(mode, word) == 0;
}

static bool
say(int fd, const char *text, size_t len)
{
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* separate_string_blank_delim() and cleanup_separated_string() in one. */
static void
record(const char *p)
{
	bool quoted = false;

	if (strchr(p, '\n'))
		fputs("MORE\t", commands);
	for (; *p; p++) {
		if (*p == '\\' && p[1] && strchr("'\"\\s", p[1]))
			fputc(*++p == 's' ? ' ' : *p, commands);
		else if (*p == '\'' && (quoted || strchr(p + 1, '\'')))
			quoted = !quoted;
		else if (*p == '\n')
			fputs("\\n", commands);
		else
			fputc(*p == ' ' && !quoted ? '\t' : *p, commands);
	}
	fputc('\n', commands);
	fflush(commands);
}

static void
read_list(struct buf *to, const char *name)
{
	char path[512], data[4096];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f) {
		buf_puts(to, "-ERR no such list\n");
		return;
	}
	while ((n = fread(data, 1, sizeof(data), f)) > 0)
		buf_add(to, data, n);
	fclose(f);
}

static bool
answer(int fd, const char *command)
{
	struct buf body = BUF_INIT, message = BUF_INIT;
	bool ok;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(command, lists[i][0]) == 0)
			read_list(&body, lists[i][1]);
	if (body.len == 0)
		buf_puts(&body, "+OK\n");
	if (is("events"))
		buf_puts(&message, "Content-Type: text/event-plain\n"
				   "Content-Length: 5\n\nEvent");
	buf_printf(&message,
		   "Content-Type: api/response\nContent-Length: %zu\n\n%s",
		   body.len, body.data);
	if (is("huge"))
		buf_puts(&message, "Content-Length: 99999999999999999999\n\n");
	ok = say(fd, message.data, message.len);
	buf_release(&body);
	buf_release(&message);
	return ok;
}

/* False ends the connection. */
static bool
take_command(int fd, const char *command)
{
	static unsigned count;
	static const char yes[] = "Content-Type: command/reply\n"
				  "Reply-Text: +OK accepted\n\n";
	static const char no[] = "Content-Type: command/reply\n"
				 "Reply-Text: -ERR invalid\n\n";

	if (strncmp(command, "auth ", 5) == 0) {
		if (is("refusing") || strcmp(command, "auth ClueCon") != 0)
			return say(fd, no, sizeof(no) - 1);
		return say(fd, yes, sizeof(yes) - 1);
	}
	record(command);
	count++;
	if (is("dying") && count == 3)
		exit(0);
	if (is("slow"))
		usleep(300000);
	if (is("silent"))
		return true;
	return answer(fd, command) && !is("once");
}

static void
flood(int fd, const char *text, size_t len)
{
	while (say(fd, text, len))
		continue;
}

static void
serve(int fd)
{
	static const char hello[] = "Content-Type: auth/request\n\n";
	static const char go_away[] = "Content-Type: text/rude-rejection\n"
				      "Content-Length: 24\n\n"
				      "Access Denied, go away.\n";
	static const char zeros[4096];
	static const char head[] = "X-Header: this head has no end\n";
	struct buf in = BUF_INIT;
	char data[4096], *end;
	bool open = true;
	ssize_t n;

	if (is("garbage"))
		flood(fd, zeros, sizeof(zeros));
	if (is("endless"))
		flood(fd, head, sizeof(head) - 1);
	if (is("denied")) {
		say(fd, go_away, sizeof(go_away) - 1);
		open = false;
	}
	open = open && say(fd, hello, sizeof(hello) - 1);
	while (open && (n = recv(fd, data, sizeof(data), 0)) > 0) {
		buf_add(&in, data, (size_t)n);
		while (open && (end = strstr(in.data, "\n\n"))) {
			*end = '\0';
			open = take_command(fd, in.data);
			buf_skip(&in, (size_t)(end + 2 - in.data));
		}
	}
	buf_release(&in);
	close(fd);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	const int on = 1;
	char path[512];
	int fd, client;

	if (argc < 3)
		return 64;
	dir = argv[2];
	if (argc > 3)
		mode = argv[3];
	snprintf(path, sizeof(path), "%s/log", dir);
	commands = fopen(path, "a");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_port = htons((uint16_t)atoi(argv[1]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!commands || fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1) {
		perror("esl-peer");
		return 71;
	}
	printf("listening on 127.0.0.1:%u\n", ntohs(a.sin_port));
	fflush(stdout);
	while ((client = accept(fd, NULL, NULL)) != -1 || errno == EINTR)
		if (client != -1)
			serve(client);
	return 71;
}
