#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_FD 3

struct worker {
	struct loop *loop;
	pid_t pid;
	int fd;
	struct buf said;
	worker_done_fn done;
	void *arg;
};

static void
work(int out, worker_fn fn, void *arg)
{
	struct buf said = BUF_INIT;
	size_t sent = 0;
	int status;

	if (out > FIRST_FD)
		close_range(FIRST_FD, (unsigned)out - 1, 0);
	close_range((unsigned)out + 1, ~0U, 0);
	status = fn(&said, arg);
	while (sent < said.len) {
		ssize_t n = write(out, said.data + sent, said.len - sent);

		if (n == -1 && errno != EINTR)
			break;
		if (n > 0)
			sent += (size_t)n;
	}
	_exit(status);
}

static void
worker_free(struct worker *w)
{
	loop_remove_fd(w->loop, w->fd);
	close(w->fd);
	buf_release(&w->said);
	free(w);
}

static void
on_output(int fd, unsigned events, void *arg)
{
	struct worker *w = arg;
	char block[4096];
	ssize_t n = read(fd, block, sizeof(block));
	int status;

	(void)events;
	if (n > 0)
		buf_add(&w->said, block, (size_t)n);
	if (n > 0 || (n == -1 && (errno == EINTR || errno == EAGAIN)))
		return;
	/* The pipe ends with the process: this does not wait. */
	while (waitpid(w->pid, &status, 0) == -1 && errno == EINTR)
		;
	w->done(WIFEXITED(status) ? WEXITSTATUS(status) : -1, &w->said, w->arg);
	worker_free(w);
}

struct worker *
worker_start(struct loop *loop, worker_fn fn, void *arg, worker_done_fn done,
	     void *done_arg, struct verr *e)
{
	struct worker *w = calloc(1, sizeof(*w));
	int fds[2];

	if (!w || pipe2(fds, O_CLOEXEC) == -1) {
		free(w);
		verr_sys(e, VERR_RETRY, "cannot start a worker");
		return NULL;
	}
	*w = (struct worker){
		.loop = loop,
		.fd = fds[0],
		.said = BUF_INIT,
		.done = done,
		.arg = done_arg,
	};
	w->pid = fork();
	if (w->pid == 0)
		work(fds[1], fn, arg);
	close(fds[1]);
	if (w->pid == -1 ||
	    loop_add_fd(loop, w->fd, EPOLLIN, on_output, w, e) == -1) {
		if (w->pid == -1)
			verr_sys(e, VERR_RETRY, "cannot start a worker");
		worker_free(w);
		return NULL;
	}
	return w;
}

void
worker_kill(struct worker *w)
{
	kill(w->pid, SIGKILL);
}

void
worker_abandon(struct worker *w)
{
	if (w)
		worker_free(w);
}
