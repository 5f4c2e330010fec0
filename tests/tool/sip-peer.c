/*
 * sip-peer [-c CODE[ REASON]] [-d] [-q] [-r] [-v] ADDRESS:PORT: a telephone,
 * gateway or media server.
 *
 * It answers OPTIONS, BYE, CANCEL with 200 and INVITE with 200, or with
 * CODE, with -d twice, with -r after a 180 (which a proxy of several processes
 * may deliver after the 200); on standard output a line for each request that
 * begins a call, or ends one: the request's first line and the headers that
 * matter, with how many X-VOIP-SERVICE there were; with -v also the request.
 * sipp, as a server, answers no request outside of its scenario, such as the
 * proxy's OPTIONS.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sipmsg.h"

static char in[SIP_MAX], out[SIP_MAX];
static const char *self, *reason = "Failed";

static void
tell_header(const char *name)
{
	size_t len;
	const char *value = sip_header(in, name, 0, &len);

	if (value)
		printf(" %s=[%.*s]", name, (int)len, value);
}

static void
tell(void)
{
	static const char *const names[] = {
		"X-VOIP-SERVICE",      "X-VOIP-DOMAIN",   "X-VOIP-CALLER",
		"P-Asserted-Identity", "Remote-Party-ID", "X-VOIP-EVIL"
	};
	size_t len;
	unsigned n = 0;

	while (sip_header(in, "X-VOIP-SERVICE", n, &len))
		n++;
	printf("%.*s services=%u", (int)strcspn(in, "\r"), in, n);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tell_header(names[i]);
	printf("\n");
	fflush(stdout);
}

/* Via, Record-Route, From, Call-ID and CSeq as they came, To with a tag. */
static size_t
copy_headers(size_t used)
{
	static const char *const names[] = { "Via", "Record-Route", "From",
					     "To",  "Call-ID",      "CSeq" };
	const char *value;
	size_t len;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (unsigned n = 0;
		     (value = sip_header(in, names[i], n, &len)) &&
		     used + len + 64 < sizeof(out);
		     n++) {
			used += (size_t)sprintf(out + used, "%s: %.*s",
						names[i], (int)len, value);
			if (strcmp(names[i], "To") == 0 &&
			    !memmem(value, len, ";tag=", 5))
				used += (size_t)sprintf(out + used, ";tag=%d",
							getpid());
			used += (size_t)sprintf(out + used, "\r\n");
		}
	return used;
}

static void
answer(int fd, const struct sockaddr_in *to, int code)
{
	static const char sdp[] = "v=0\r\no=p 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
				  "c=IN IP4 127.0.0.1\r\nt=0 0\r\n"
				  "m=audio 6002 RTP/AVP 8\r\n";
	bool body = strncmp(in, "INVITE ", 7) == 0 && code == 200;
	size_t used = (size_t)sprintf(out, "SIP/2.0 %d %s\r\n", code,
				      code == 180   ? "Ringing"
				      : code == 200 ? "OK"
						    : reason);

	used = copy_headers(used);
	used += (size_t)snprintf(
		out + used, sizeof(out) - used,
		"Contact: <sip:peer@%s>\r\n%s"
		"Content-Length: %zu\r\n\r\n%s",
		self, body ? "Content-Type: application/sdp\r\n" : "",
		body ? sizeof(sdp) - 1 : 0, body ? sdp : "");
	sendto(fd, out, used, 0, (const struct sockaddr *)to, sizeof(*to));
}

int
main(int argc, char **argv)
{
	int code = 200, option, fd;
	bool quiet = false, ring = false, verbose = false, twice = false,
	     invite;

	while ((option = getopt(argc, argv, "c:dqrv")) != -1) {
		if (option == 'c') {
			code = atoi(optarg);
			if (strchr(optarg, ' '))
				reason = strchr(optarg, ' ') + 1;
		} else if (option == 'v')
			verbose = true;
		else if (option == 'd')
			twice = true;
		else if (option == 'q')
			quiet = true;
		else if (option == 'r')
			ring = true;
		else
			return 64;
	}
	if (optind + 1 != argc)
		return 64;
	self = argv[optind];
	fd = sip_socket(self);
	if (!quiet) {
		printf("listening\n");
		fflush(stdout);
	}
	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, in, sizeof(in) - 1, 0,
				     (struct sockaddr *)&from, &from_len);

		if (n <= 0)
			continue;
		in[n] = '\0';
		if (strncmp(in, "SIP/2.0", 7) == 0 ||
		    strncmp(in, "ACK ", 4) == 0)
			continue;
		invite = strncmp(in, "INVITE ", 7) == 0;
		if (!quiet && strncmp(in, "OPTIONS ", 8) != 0)
			tell();
		if (verbose) {
			printf("%s", in);
			fflush(stdout);
		}
		if (invite && ring)
			answer(fd, &from, 180);
		answer(fd, &from, invite ? code : 200);
		if (invite && twice)
			answer(fd, &from, code);
	}
}
