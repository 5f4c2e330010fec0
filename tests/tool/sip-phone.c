/*
 * sip-phone [OPTION...] PROXY register|call|raw USER@DOMAIN [NUMBER@DOMAIN]
 *
 * One exchange with a proxy over UDP; the final status on standard output, for
 * a call that was answered followed by that of its BYE.  `raw` sends standard
 * input, with @VIA@ (address and port) and @ID@ (a new word) replaced.
 *
 *   -a ADDRESS:PORT  from where; 127.0.0.1, any port
 *   -c CONTACT       the contact, sip:USER@ADDRESS:PORT
 *   -d NAME          name in the digest, USER
 *   -e SECONDS       for how long to register, 600
 *   -h HEADER        one more header
 *   -H HA1           instead of the hash of -p
 *   -i URI           a second INVITE to there, inside of the call; its status
 *   -k               keep the call: no BYE; its end is the caller's matter
 *   -M METHOD        instead of INVITE
 *   -m               how many microseconds the answer to the last request took
 *   -n COUNT         that many times, a status a line
 *   -p PASSWORD      shown when asked for
 *   -r CONTACT       once more with this contact and the same credentials, as
 *                    somebody would who overheard them; its status
 *   -t MS            how long to wait for an answer, 20000; then status 0
 *   -u AGENT         User-Agent
 *   -v               the answer's text on standard error
 *   -w               the answer's Contact headers too
 */
#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "lib/sipmsg.h"

static const char *from_address = "127.0.0.1:0", *contact, *digest_name,
		  *header = "", *ha1, *password, *agent = "test", *inside,
		  *replay, *instead = "INVITE";
static int expires = 600, count = 1, timeout_ms = 20000;
static bool keep, measured, verbose, contacts;

static int fd;
static struct sockaddr_in proxy;
static char local[32], in[SIP_MAX], out[SIP_MAX];
static char id[33], user[256], domain[256], number[512];
static const char *method;

static void
new_word(char word[33])
{
	unsigned char bytes[16];
	struct verr e = VERR_INIT;

	if (hash_random(bytes, sizeof(bytes), &e) == -1)
		errx(71, "no random bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(word + 2 * i, "%02x", bytes[i]);
}

static long
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long
now_ms(void)
{
	return now_us() / 1000;
}

/* The final status of what has this Call-ID and CSeq; sent again as UDP wants
 * it.  0: none in time. */
static int
exchange(const char *message, size_t len, int cseq)
{
	long end = now_ms() + timeout_ms, again = 500, next = now_ms();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char want[64];

	snprintf(want, sizeof(want), "%d ", cseq);
	while (now_ms() < end) {
		size_t value_len;
		const char *value;
		ssize_t n;

		if (now_ms() >= next) {
			sendto(fd, message, len, 0,
			       (const struct sockaddr *)&proxy, sizeof(proxy));
			next = now_ms() + again;
			again *= 2;
		}
		if (poll(&p, 1, 50) <= 0)
			continue;
		n = recv(fd, in, sizeof(in) - 1, 0);
		if (n <= 0)
			continue;
		in[n] = '\0';
		value = sip_header(in, "CSeq", 0, &value_len);
		if (strncmp(in, "SIP/2.0 ", 8) != 0 || !value ||
		    strncmp(value, want, strlen(want)) != 0 ||
		    !(value = sip_header(in, "Call-ID", 0, &value_len)) ||
		    strncmp(value, id, strlen(id)) != 0)
			continue;
		next = end;
		if (in[8] != '1')
			return atoi(in + 8);
	}
	return 0;
}

/* What every request of this call begins with; the branch of an ACK for a
 * refusal is that of the INVITE. */
static size_t
begin(const char *what, const char *uri, int cseq, const char *cseq_method,
      const char *branch, const char *to_tag)
{
	char to[1024];

	if (*number)
		snprintf(to, sizeof(to), "%s", number);
	else
		snprintf(to, sizeof(to), "%s@%s", user, domain);
	return (size_t)snprintf(
		out, sizeof(out),
		"%s %s SIP/2.0\r\n"
		"Via: SIP/2.0/UDP %s;branch=z9hG4bK%s\r\n"
		"From: <sip:%s@%s>;tag=f%s\r\nTo: <sip:%s>%s%s\r\n"
		"Call-ID: %s\r\nCSeq: %d %s\r\nMax-Forwards: 70\r\n"
		"User-Agent: %s\r\n",
		what, uri, local, branch, user, domain, id, to,
		*to_tag ? ";tag=" : "", to_tag, id, cseq, cseq_method, agent);
}

static size_t
end_headers(size_t used, const char *more)
{
	return used + (size_t)snprintf(out + used, sizeof(out) - used,
				       "%sContent-Length: 0\r\n\r\n", more);
}

static void
md5(char hex[HASH_MD5_HEX], const char *text)
{
	struct verr e = VERR_INIT;

	if (hash_md5_hex(hex, text, strlen(text), &e) == -1)
		errx(71, "no MD5");
}

static void
credentials(char *text, size_t size, int status, const char *uri)
{
	const char *challenge, *name = digest_name ? digest_name : user;
	char realm[256], nonce[256], a1[HASH_MD5_HEX], a2[HASH_MD5_HEX],
		response[HASH_MD5_HEX], clear[2048];
	size_t len;

	challenge = sip_header(
		in, status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate",
		0, &len);
	if (!challenge)
		errx(65, "no challenge");
	sip_between(challenge, len, "realm=\"", "\"", realm, sizeof(realm));
	sip_between(challenge, len, "nonce=\"", "\"", nonce, sizeof(nonce));
	snprintf(clear, sizeof(clear), "%s:%s:%s", name, realm, password);
	md5(a1, clear);
	snprintf(clear, sizeof(clear), "%s:%s", method, uri);
	md5(a2, clear);
	snprintf(clear, sizeof(clear), "%s:%s:%s", ha1 ? ha1 : a1, nonce, a2);
	md5(response, clear);
	snprintf(text, size,
		 "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", "
		 "uri=\"%s\", response=\"%s\", algorithm=MD5\r\n",
		 status == 401 ? "Authorization" : "Proxy-Authorization", name,
		 realm, nonce, uri, response);
}

static void
tag_of_answer(char *tag, size_t size)
{
	size_t len;
	const char *to = sip_header(in, "To", 0, &len);

	*tag = '\0';
	if (to)
		sip_between(to, len, ";tag=", ";", tag, size);
}

static void
send_only(size_t len)
{
	sendto(fd, out, len, 0, (const struct sockaddr *)&proxy, sizeof(proxy));
}

/* ACK and BYE of what was answered, by the way that the answer shows. */
static void
end_call(int cseq)
{
	char routes[4096] = "", uri[512], tag[128], branch[33];
	const char *value;
	size_t len, used = 0;
	unsigned n = 0;

	while (sip_header(in, "Record-Route", n, &len))
		n++;
	while (n-- > 0 && (value = sip_header(in, "Record-Route", n, &len)))
		used += (size_t)snprintf(routes + used, sizeof(routes) - used,
					 "Route: %.*s\r\n", (int)len, value);
	value = sip_header(in, "Contact", 0, &len);
	if (!value)
		errx(65, "an answer without Contact");
	sip_between(value, len, "<", ">", uri, sizeof(uri));
	tag_of_answer(tag, sizeof(tag));
	new_word(branch);
	send_only(end_headers(begin("ACK", uri, cseq, "ACK", branch, tag),
			      routes));
	if (keep)
		return;
	if (inside) {
		new_word(branch);
		used += (size_t)snprintf(routes + used, sizeof(routes) - used,
					 "Contact: <sip:%s@%s>\r\n%s", user,
					 local, header);
		len = end_headers(
			begin("INVITE", inside, ++cseq, "INVITE", branch, tag),
			routes);
		printf(" %d", exchange(out, len, cseq));
		send_only(end_headers(
			begin("ACK", inside, cseq, "ACK", branch, tag),
			routes));
	}
	new_word(branch);
	len = end_headers(begin("BYE", uri, cseq + 1, "BYE", branch, tag),
			  routes);
	printf(" %d", exchange(out, len, cseq + 1));
}

/* What was shown for one request, with another. */
static int
send_replay(const char *uri, const char *shown)
{
	char more[8192], branch[33];

	new_word(branch);
	snprintf(more, sizeof(more), "Contact: %s\r\n%sExpires: %d\r\n", replay,
		 shown, expires);
	return exchange(
		out,
		end_headers(begin(method, uri, 3, method, branch, ""), more),
		3);
}

static void
one(void)
{
	bool invite = strcmp(method, "INVITE") == 0;
	char uri[600], branch[33], more[8192], shown[4096] = "", tag[128];
	long began, took = 0;
	int status = 0;
	size_t len;

	new_word(id);
	if (*number)
		snprintf(uri, sizeof(uri), "sip:%s", number);
	else
		snprintf(uri, sizeof(uri), "sip:%s", domain);
	for (int cseq = 1; cseq <= 2; cseq++) {
		new_word(branch);
		if (contact)
			snprintf(more, sizeof(more), "Contact: %s\r\n%s%s",
				 contact, shown, header);
		else
			snprintf(more, sizeof(more),
				 "Contact: <sip:%s@%s>\r\n%s%s", user, local,
				 shown, header);
		if (!invite && !*number)
			snprintf(more + strlen(more),
				 sizeof(more) - strlen(more), "Expires: %d\r\n",
				 expires);
		len = end_headers(begin(method, uri, cseq, method, branch, ""),
				  more);
		began = now_us();
		status = exchange(out, len, cseq);
		took = now_us() - began;
		if (verbose)
			fprintf(stderr, "%s\n", in);
		if (invite && status >= 300) {
			tag_of_answer(tag, sizeof(tag));
			send_only(end_headers(
				begin("ACK", uri, cseq, "ACK", branch, tag),
				""));
		}
		if ((status != 401 && status != 407) || (!password && !ha1))
			break;
		if (cseq == 1)
			credentials(shown, sizeof(shown), status, uri);
	}
	printf("%d", status);
	if (measured)
		printf(" %ld", took);
	if (contacts) {
		const char *value = sip_header(in, "Contact", 0, &len);

		if (value)
			printf(" %.*s", (int)len, value);
	}
	if (replay)
		printf(" %d", send_replay(uri, shown));
	else if (invite && status == 200)
		end_call(*shown ? 2 : 1);
	printf("\n");
	fflush(stdout);
}

static void
raw(void)
{
	static char text[SIP_MAX];
	size_t n = fread(text, 1, sizeof(text) - 1, stdin), used = 0;

	text[n] = '\0';
	new_word(id);
	for (const char *c = text; *c && used < sizeof(out) - 64; c++) {
		if (strncmp(c, "@VIA@", 5) == 0) {
			used += (size_t)sprintf(out + used, "%s", local);
			c += 4;
		} else if (strncmp(c, "@ID@", 4) == 0) {
			used += (size_t)sprintf(out + used, "%s", id);
			c += 3;
		} else {
			if (*c == '\n')
				out[used++] = '\r';
			out[used++] = *c;
		}
	}
	out[used] = '\0';
	printf("%d\n", exchange(out, used, 1));
}

static void
options(int argc, char **argv)
{
	static char headers[4096];
	int option;

	while ((option = getopt(argc, argv,
				"a:c:d:e:h:H:i:kM:mn:p:r:t:u:vw")) != -1)
		switch (option) {
		case 'a':
			from_address = optarg;
			break;
		case 'c':
			contact = optarg;
			break;
		case 'd':
			digest_name = optarg;
			break;
		case 'e':
			expires = atoi(optarg);
			break;
		case 'h':
			snprintf(headers + strlen(headers),
				 sizeof(headers) - strlen(headers), "%s\r\n",
				 optarg);
			header = headers;
			break;
		case 'H':
			ha1 = optarg;
			break;
		case 'i':
			inside = optarg;
			break;
		case 'k':
			keep = true;
			break;
		case 'M':
			instead = optarg;
			break;
		case 'm':
			measured = true;
			break;
		case 'n':
			count = atoi(optarg);
			break;
		case 'p':
			password = optarg;
			break;
		case 'r':
			replay = optarg;
			break;
		case 't':
			timeout_ms = atoi(optarg);
			break;
		case 'u':
			agent = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		case 'w':
			contacts = true;
			break;
		default:
			exit(64);
		}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	options(argc, argv);
	if (argc - optind < 3 || !sip_address(&proxy, argv[optind]))
		errx(64, "PROXY register|call|raw USER@DOMAIN [NUMBER@DOMAIN]");
	fd = sip_socket(from_address);
	if (connect(fd, (const struct sockaddr *)&proxy, sizeof(proxy)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		err(71, "socket");
	snprintf(local, sizeof(local), "%s:%d", inet_ntoa(a.sin_addr),
		 ntohs(a.sin_port));
	sip_between(argv[optind + 2], strlen(argv[optind + 2]), "@", "\n",
		    domain, sizeof(domain));
	snprintf(user, sizeof(user), "%.*s",
		 (int)strcspn(argv[optind + 2], "@"), argv[optind + 2]);
	if (argc - optind > 3)
		snprintf(number, sizeof(number), "%s", argv[optind + 3]);
	method = strcmp(argv[optind + 1], "call") == 0       ? instead
		 : strcmp(argv[optind + 1], "register") == 0 ? "REGISTER"
							     : "OPTIONS";
	if (strcmp(argv[optind + 1], "raw") == 0) {
		raw();
		return 0;
	}
	for (int i = 0; i < count; i++)
		one();
	return 0;
}
