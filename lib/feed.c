#include "feed.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void
end(struct feed *f, const struct verr *e)
{
	if (f->ended)
		return;
	f->ended = true;
	if (f->watched)
		loop_remove_fd(f->loop, f->fd);
	f->watched = false;
	f->fn(e, f->arg);
}

static bool
has_room(const struct feed *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLOUT };

	return !f->watched || (poll(&p, 1, 0) == 1 && p.revents & POLLOUT);
}

/* How much of what waits goes out next: whole lines where they fit. */
static size_t
chunk(const struct feed *f)
{
	const char *from = f->waiting.data + f->done, *last;
	size_t len = f->waiting.len - f->done;

	if (len <= PIPE_BUF)
		return len;
	last = memrchr(from, '\n', PIPE_BUF);
	return last ? (size_t)(last + 1 - from) : PIPE_BUF;
}

/* One write; false when there can be no further one now. */
static bool
write_some(struct feed *f)
{
	struct verr e = VERR_INIT;
	size_t len = chunk(f);
	ssize_t n = write(f->fd, f->waiting.data + f->done, len);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n == -1) {
		/* EIO: a terminal that was hung up, but on a file a failure. */
		if (errno != EPIPE && errno != ECONNRESET &&
		    !(errno == EIO && f->watched))
			verr_sys(&e, VERR_SYSTEM,
				 "cannot write to standard output");
		end(f, &e);
		return false;
	}
	f->done += (size_t)n;
	f->mid_line =
		n > 0 ? f->waiting.data[f->done - 1] != '\n' : f->mid_line;
	return (size_t)n == len;
}

static void
write_out(struct feed *f)
{
	bool wants;

	while (!f->ended && f->done < f->waiting.len && has_room(f))
		if (!write_some(f))
			break;
	if (f->done == f->waiting.len || f->done >= f->max / 2) {
		buf_skip(&f->waiting, f->done);
		f->done = 0;
	}
	wants = !f->ended && f->waiting.len > 0;
	if (f->watched && wants != f->wants)
		loop_modify_fd(f->loop, f->fd, wants ? EPOLLOUT : 0);
	f->wants = wants;
}

static void
on_event(int fd, unsigned events, void *arg)
{
	struct feed *f = arg;
	struct verr e = VERR_INIT;

	(void)fd;
	if (events & (EPOLLERR | EPOLLHUP))
		end(f, &e);
	else
		write_out(f);
}

int
feed_init(struct feed *f, struct loop *loop, int fd, size_t max, feed_end_fn fn,
	  void *arg, struct verr *e)
{
	struct verr why = VERR_INIT;

	*f = (struct feed){
		.loop = loop,
		.fd = fd,
		.max = max,
		.fn = fn,
		.arg = arg,
		.waiting = BUF_INIT,
	};
	f->watched = loop_add_fd(loop, fd, 0, on_event, f, &why) == 0;
	/* epoll_ctl(2): EPERM is a file that is always ready. */
	if (!f->watched && errno != EPERM) {
		*e = why;
		return -1;
	}
	return 0;
}

void
feed_release(struct feed *f)
{
	if (f->watched)
		loop_remove_fd(f->loop, f->fd);
	f->watched = false;
	buf_release(&f->waiting);
}

bool
feed_add(struct feed *f, const char *lines, size_t len)
{
	if (f->ended)
		return true; /* nobody is there to miss it */
	if (f->waiting.len - f->done + len > f->max)
		return false;
	buf_add(&f->waiting, lines, len);
	if (buf_failed(&f->waiting)) {
		f->waiting.failed = false;
		return false;
	}
	write_out(f);
	return true;
}

void
feed_forget(struct feed *f)
{
	const char *from = f->waiting.data + f->done, *newline;

	newline = f->mid_line ? memchr(from, '\n', f->waiting.len - f->done)
			      : NULL;
	f->waiting.len =
		newline ? (size_t)(newline + 1 - f->waiting.data) : f->done;
	f->waiting.data[f->waiting.len] = '\0';
}

bool
feed_is_empty(const struct feed *f)
{
	return f->ended || f->done == f->waiting.len;
}
