#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"

#define SAID_MAX 8192
#define CANNOT   127 /* as a shell says it */

/* --- words ------------------------------------------------------------ */

/* One word of `*text` to `*to`, which grows; false at the end. */
static bool
next_word(const char **text, char **to)
{
	const char *p = *text;
	char quote = '\0';

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return false;
	for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? '\0' : *p;
		else
			*(*to)++ = *p;
	}
	*(*to)++ = '\0';
	*text = p;
	return true;
}

int
command_run(const char *text, const char *const *extra,
	    const char *const *environment, int64_t timeout_ms,
	    struct buf *said, struct verr *e)
{
	const char *words[COMMAND_WORDS + 1];
	char *copy = malloc(strlen(text) + 1), *to = copy;
	size_t n = 0;
	int status;

	if (!copy)
		return verr_set(e, VERR_RETRY, "out of memory");
	for (const char *word = to; n < COMMAND_WORDS && next_word(&text, &to);
	     word = to)
		words[n++] = word;
	for (; extra && *extra && n < COMMAND_WORDS; extra++)
		words[n++] = *extra;
	words[n] = NULL;
	if (n == 0 || n == COMMAND_WORDS)
		status = verr_set(e, VERR_CONFIG,
				  n ? "the command '%s' has too many words"
				    : "the command is empty",
				  copy);
	else
		status = command_run_words(words, environment, timeout_ms, said,
					   e);
	free(copy);
	return status;
}

/* --- the process ------------------------------------------------------ */

static void
become(const char *const *words, const char *const *environment, int out,
       pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	/* Whoever begins anew what was cut off must not meet it at work. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(CANNOT);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(out, STDOUT_FILENO) == -1 || dup2(out, STDERR_FILENO) == -1)
		_exit(CANNOT);
	for (; environment && *environment; environment++)
		putenv((char *)(uintptr_t)*environment);
	execvp(words[0], (char *const *)(uintptr_t)words);
	_exit(CANNOT);
}

/* Where the output goes: all of it line by line, or the first of it. */
struct sink {
	struct buf *said;
	size_t before; /* what was in it already */
	command_line_fn fn;
	void *arg;
	struct buf line;
};

static void
give_lines(struct sink *s)
{
	size_t start = 0;
	char *end;

	while ((end = memchr(s->line.data + start, '\n',
			     s->line.len - start))) {
		*end = '\0';
		s->fn(s->line.data + start, s->arg);
		start = (size_t)(end - s->line.data) + 1;
	}
	buf_skip(&s->line, start);
}

static void
take(int fd, struct sink *s)
{
	char block[16384];
	ssize_t n = read(fd, block, sizeof(block));

	if (n > 0 && s->fn) {
		buf_add(&s->line, block, (size_t)n);
		give_lines(s);
	} else if (n > 0 && s->said && s->said->len - s->before < SAID_MAX) {
		buf_add(s->said, block, (size_t)n);
	}
}

/*
 * Until the process has ended; its output is taken meanwhile.  What it left
 * running may hold the pipe for ever, so the pipe's end is not waited for.
 */
static bool
await(int process, int out, int64_t timeout_ms, struct sink *sink)
{
	int64_t end = loop_now_ms() + timeout_ms;
	struct pollfd p[2] = { { process, POLLIN, 0 }, { out, POLLIN, 0 } };
	int64_t left;

	while ((left = end - loop_now_ms()) > 0) {
		if (poll(p, 2, (int)(left < 1000 ? left : 1000)) == -1 &&
		    errno != EINTR)
			return false;
		if (p[1].revents & POLLIN)
			take(out, sink);
		else if (p[1].revents)
			p[1].fd = -1;
		if (p[0].revents && !(p[1].revents & POLLIN))
			return true;
	}
	return false;
}

static int
finish(pid_t pid, bool ended, const char *name, int64_t timeout_ms,
       struct verr *e)
{
	int status = 0;

	if (!ended)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (!ended)
		return verr_set(e, VERR_RETRY,
				"'%s' took longer than %lld ms and was killed",
				name, (long long)timeout_ms);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	if (WEXITSTATUS(status) == CANNOT)
		return verr_set(e, VERR_CONFIG, "cannot run '%s'", name);
	return WEXITSTATUS(status);
}

static int
run(const char *const *words, const char *const *environment,
    int64_t timeout_ms, struct sink *sink, struct verr *e)
{
	int pipe_fds[2], process, rc;
	bool ended;
	pid_t pid, parent = getpid();

	if (pipe2(pipe_fds, O_CLOEXEC) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot run '%s'", words[0]);
	pid = fork();
	if (pid == 0)
		become(words, environment, pipe_fds[1], parent);
	close(pipe_fds[1]);
	if (pid == -1) {
		close(pipe_fds[0]);
		return verr_sys(e, VERR_SYSTEM, "cannot run '%s'", words[0]);
	}
	setpgid(pid, pid);
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	ended = process != -1 && await(process, pipe_fds[0], timeout_ms, sink);
	rc = finish(pid, ended, words[0], timeout_ms, e);
	if (process != -1)
		close(process);
	close(pipe_fds[0]);
	return rc;
}

int
command_run_words(const char *const *words, const char *const *environment,
		  int64_t timeout_ms, struct buf *said, struct verr *e)
{
	struct sink sink = { .said = said, .before = said ? said->len : 0 };

	return run(words, environment, timeout_ms, &sink, e);
}

int
command_run_lines(const char *const *words, const char *const *environment,
		  int64_t timeout_ms, command_line_fn fn, void *arg,
		  struct verr *e)
{
	struct sink sink = { .fn = fn, .arg = arg, .line = BUF_INIT };
	int status = run(words, environment, timeout_ms, &sink, e);

	if (status >= 0 && buf_failed(&sink.line))
		status = verr_set(e, VERR_RETRY, "out of memory");
	buf_release(&sink.line);
	return status;
}
