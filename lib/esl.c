#include "esl.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eslmessage.h"

#define BACKOFF_MIN 100
#define BACKOFF_MAX 10000

enum esl_phase {
	DOWN,       /* the timer is the next attempt */
	CONNECTING, /* from here on it is the deadline */
	GREETING,   /* "auth/request" is due */
	LOGIN,      /* the answer to "auth" is due */
	IDLE,
	ASKING,
};

struct esl_command {
	char *text;
	esl_answer_fn fn;
	void *arg;
	struct esl_command *next;
};

struct esl {
	struct loop *loop;
	char *address;
	char *password;
	int64_t timeout_ms;
	esl_state_fn state_fn;
	void *arg;

	enum esl_phase phase;
	int fd;
	int64_t backoff_ms;
	struct loop_timer timer;
	struct buf in;
	struct buf out;
	struct esl_command *first; /* the one asked when ASKING */
	struct esl_command **last;
	unsigned calls; /* callbacks under way */
	bool doomed;    /* freed by one of them */
};

static void wake(void *arg);

/* --- commands --------------------------------------------------------- */

static void
command_free(struct esl_command *c)
{
	if (c) {
		free(c->text);
		free(c);
	}
}

static struct esl_command *
command_take(struct esl *s)
{
	struct esl_command *c = s->first;

	if (c) {
		s->first = c->next;
		if (!s->first)
			s->last = &s->first;
	}
	return c;
}

static void
really_free(struct esl *s)
{
	free(s->address);
	free(s->password);
	free(s);
}

/* Did a callback free it?  Then the caller returns at once. */
static bool
after_call(struct esl *s)
{
	if (--s->calls > 0 || !s->doomed)
		return s->doomed;
	really_free(s);
	return true;
}

static bool
tell_answer(struct esl *s, struct esl_command *c, const char *answer,
	    size_t len, const struct verr *e)
{
	s->calls++;
	c->fn(answer, len, e, c->arg);
	command_free(c);
	return after_call(s);
}

static bool
tell_state(struct esl *s, bool up, const struct verr *e)
{
	s->calls++;
	s->state_fn(up, e, s->arg);
	return after_call(s);
}

/* --- the connection --------------------------------------------------- */

static void
disconnect(struct esl *s)
{
	if (s->fd != -1) {
		loop_remove_fd(s->loop, s->fd);
		close(s->fd);
	}
	s->fd = -1;
	s->phase = DOWN;
	buf_release(&s->in);
	buf_release(&s->out);
}

/* True when a callback freed `s`. */
static bool
lost(struct esl *s, const struct verr *why)
{
	struct esl_command *c;

	disconnect(s);
	loop_timer_set(s->loop, &s->timer, s->backoff_ms);
	s->backoff_ms *= 2;
	if (s->backoff_ms > BACKOFF_MAX)
		s->backoff_ms = BACKOFF_MAX;
	while ((c = command_take(s)))
		if (tell_answer(s, c, NULL, 0, why))
			return true;
	return tell_state(s, false, why);
}

static bool
fail(struct esl *s, enum verr_kind kind, const char *what)
{
	struct verr e = VERR_INIT;

	verr_set(&e, kind, "FreeSWITCH at '%s': %s", s->address, what);
	return lost(s, &e);
}

static bool
flush(struct esl *s)
{
	ssize_t n = 1;

	while (s->out.len > 0 && n > 0) {
		n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL);
		if (n > 0)
			buf_skip(&s->out, (size_t)n);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return fail(s, VERR_RETRY, strerror(errno));
	loop_modify_fd(s->loop, s->fd,
		       s->out.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
	return false;
}

static bool
say(struct esl *s, const char *verb, const char *rest, enum esl_phase phase)
{
	buf_puts(&s->out, verb);
	buf_puts(&s->out, rest);
	buf_puts(&s->out, "\n\n");
	if (buf_failed(&s->out))
		return fail(s, VERR_RETRY, "out of memory");
	s->phase = phase;
	loop_timer_set(s->loop, &s->timer, s->timeout_ms);
	return flush(s);
}

static bool
ask_next(struct esl *s)
{
	if (s->phase != IDLE)
		return false;
	if (s->first)
		return say(s, "api ", s->first->text, ASKING);
	loop_timer_clear(s->loop, &s->timer);
	return false;
}

/* --- messages --------------------------------------------------------- */

static bool
logged_in(struct esl *s, const struct esl_message *m)
{
	if (strncmp(m->reply, "+OK", 3) != 0)
		return fail(s, VERR_CONFIG,
			    "the password is refused\nhint: "
			    "freeswitch_password must be that of "
			    "event_socket.conf");
	s->phase = IDLE;
	s->backoff_ms = BACKOFF_MIN;
	loop_timer_clear(s->loop, &s->timer);
	return tell_state(s, true, NULL) || ask_next(s);
}

static bool
answered(struct esl *s, const struct esl_message *m)
{
	struct esl_command *c = command_take(s);
	struct buf body = BUF_INIT;
	bool gone;

	buf_add(&body, s->in.data + m->head_len, m->body_len);
	buf_skip(&s->in, m->head_len + m->body_len);
	s->phase = IDLE;
	if (buf_failed(&body)) {
		struct verr e = VERR_INIT;

		verr_set(&e, VERR_RETRY, "out of memory");
		gone = tell_answer(s, c, NULL, 0, &e);
	} else {
		gone = tell_answer(s, c, body.data, body.len, NULL);
	}
	buf_release(&body);
	return gone || ask_next(s);
}

/* True when `s` is gone. */
static bool
handle(struct esl *s, const struct esl_message *m)
{
	if (s->phase == ASKING && strcmp(m->type, "api/response") == 0)
		return answered(s, m);
	if (strcmp(m->type, "text/disconnect-notice") == 0)
		return fail(s, VERR_RETRY, "it ended the connection");
	if (strcmp(m->type, "text/rude-rejection") == 0)
		return fail(s, VERR_CONFIG,
			    "this address is refused\nhint: "
			    "apply-inbound-acl of event_socket.conf");
	buf_skip(&s->in, m->head_len + m->body_len);
	if (s->phase == GREETING && strcmp(m->type, "auth/request") == 0)
		return say(s, "auth ", s->password, LOGIN);
	if (s->phase == LOGIN && strcmp(m->type, "command/reply") == 0)
		return logged_in(s, m);
	if (strncmp(m->type, "text/", 5) == 0 ||
	    strcmp(m->type, "log/data") == 0)
		return false;
	return fail(s, VERR_RETRY, "an answer that is none of its own");
}

static bool
take_messages(struct esl *s)
{
	struct esl_message m;
	int found = 1;

	while (s->fd != -1 &&
	       (found = esl_message(&m, s->in.data, s->in.len)) == 1)
		if (handle(s, &m))
			return true;
	if (s->fd != -1 && found == -1)
		return fail(s, VERR_RETRY,
			    "what it says is no event socket's message");
	return false;
}

/* --- events of the loop ----------------------------------------------- */

static bool
take_input(struct esl *s)
{
	char data[16384];
	ssize_t n = recv(s->fd, data, sizeof(data), 0);

	if (n == 0)
		return fail(s, VERR_RETRY, "the connection was closed");
	if (n < 0)
		return errno != EAGAIN && errno != EINTR &&
		       fail(s, VERR_RETRY, strerror(errno));
	buf_add(&s->in, data, (size_t)n);
	if (buf_failed(&s->in))
		return fail(s, VERR_RETRY, "out of memory");
	return take_messages(s);
}

static void
on_event(int fd, unsigned events, void *arg)
{
	struct esl *s = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	if (s->phase == CONNECTING) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
			error = errno;
		if (error != 0) {
			fail(s, VERR_RETRY, strerror(error));
			return;
		}
		s->phase = GREETING;
		loop_modify_fd(s->loop, fd, EPOLLIN);
		return;
	}
	if (events & EPOLLOUT && (flush(s) || ask_next(s)))
		return;
	if (s->fd != -1 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		take_input(s);
}

static struct addrinfo *
resolve(const char *address, struct verr *e)
{
	static const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(address, ':');
	struct addrinfo *found = NULL;
	char host[64] = "";
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len > 0 && len < sizeof(host)) {
		memcpy(host, address, len);
		host[len] = '\0';
	}
	if (!colon || *host == '\0' ||
	    getaddrinfo(host, colon + 1, &hints, &found) != 0)
		verr_set(e, VERR_CONFIG,
			 "'%s' is not ADDRESS:PORT of an event socket\n"
			 "hint: an address such as 127.0.0.1:8021, no name",
			 address);
	return found;
}

static int
open_socket(struct esl *s, struct verr *e)
{
	struct addrinfo *a = resolve(s->address, e);
	const int on = 1;
	int rc = -1;

	if (!a)
		return -1;
	s->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0);
	if (s->fd == -1) {
		verr_sys(e, VERR_RETRY, "cannot make a socket");
		goto out;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(s->fd, a->ai_addr, a->ai_addrlen) == -1 &&
	    errno != EINPROGRESS) {
		verr_sys(e, VERR_RETRY, "FreeSWITCH at '%s'", s->address);
		goto out;
	}
	rc = loop_add_fd(s->loop, s->fd, EPOLLOUT, on_event, s, e);
out:
	freeaddrinfo(a);
	return rc;
}

/* The next attempt, or a deadline. */
static void
wake(void *arg)
{
	struct esl *s = arg;
	struct verr e = VERR_INIT;

	if (s->phase != DOWN) {
		fail(s, VERR_RETRY, "no answer in time");
		return;
	}
	if (open_socket(s, &e) == -1) {
		lost(s, &e);
		return;
	}
	s->phase = CONNECTING;
	loop_timer_set(s->loop, &s->timer, s->timeout_ms);
}

/* --- for the caller --------------------------------------------------- */

static bool
is_line(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

struct esl *
esl_new(struct loop *l, const char *address, const char *password,
	int64_t timeout_ms, esl_state_fn fn, void *arg, struct verr *e)
{
	struct addrinfo *a = resolve(address, e);
	struct esl *s;

	if (!a)
		return NULL;
	freeaddrinfo(a);
	if (*password == '\0' || !is_line(password)) {
		verr_set(e, VERR_CONFIG,
			 "the event socket's password is empty or has a "
			 "control character");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s || !(s->address = strdup(address)) ||
	    !(s->password = strdup(password))) {
		if (s)
			really_free(s);
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	s->loop = l;
	s->timeout_ms = timeout_ms;
	s->state_fn = fn;
	s->arg = arg;
	s->fd = -1;
	s->in = s->out = BUF_INIT;
	s->last = &s->first;
	s->backoff_ms = BACKOFF_MIN;
	s->timer = (struct loop_timer){ .fn = wake, .arg = s };
	loop_timer_set(l, &s->timer, 0);
	return s;
}

void
esl_free(struct esl *s)
{
	struct esl_command *c;

	if (!s)
		return;
	disconnect(s);
	loop_timer_clear(s->loop, &s->timer);
	while ((c = command_take(s)))
		command_free(c);
	if (s->calls > 0)
		s->doomed = true;
	else
		really_free(s);
}

bool
esl_is_up(const struct esl *s)
{
	return s->phase >= IDLE;
}

int
esl_api(struct esl *s, const char *command, esl_answer_fn fn, void *arg,
	struct verr *e)
{
	struct esl_command *c;

	if (*command == '\0' || strlen(command) > ESL_COMMAND_MAX ||
	    !is_line(command))
		return verr_set(e, VERR_INPUT,
				"no event socket takes this as a command");
	if (!esl_is_up(s))
		return verr_set(e, VERR_RETRY, "FreeSWITCH at '%s' is away",
				s->address);
	c = calloc(1, sizeof(*c));
	if (!c || !(c->text = strdup(command))) {
		free(c);
		return verr_set(e, VERR_RETRY, "out of memory");
	}
	c->fn = fn;
	c->arg = arg;
	*s->last = c;
	s->last = &c->next;
	/* Sent by the loop, so that the callback is never called in here. */
	if (s->phase == IDLE && s->calls == 0)
		loop_modify_fd(s->loop, s->fd, EPOLLIN | EPOLLOUT);
	return 0;
}
