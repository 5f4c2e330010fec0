#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "depends.h"
#include "log.h"
#include "metrics.h"
#include "snapshotfile.h"

#define NAME      "snapshot"
#define TEMPORARY ".snapshot-"

struct snapshot {
	struct loop *loop;
	struct cache *cache;
	struct loop_timer timer;
	char *path;
	int dir; /* -1: there are no snapshots */
	int child_fd;
	pid_t child;
	uint64_t written_state; /* of the cache, see cache_stats.state */
	uint64_t child_state;
	int64_t written_ms; /* real clock; 0: never */
	int64_t child_ms;
	bool started;
	bool failing; /* said once */
};

static int64_t
real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t
state_of(const struct cache *cache)
{
	struct cache_stats stats;

	cache_stats(cache, &stats);
	return stats.state;
}

/* --- reading ---------------------------------------------------------- */

struct loading {
	struct snapshot *s;
	int64_t offset_ms;
	int64_t oldest_ms;
	size_t count;
};

static void
load_item(const struct cache_item *item, void *arg)
{
	struct loading *l = arg;
	struct cache_item mine = *item;
	int64_t now = loop_now_ms();

	mine.confirmed_ms -= l->offset_ms;
	if (mine.confirmed_ms > now)
		mine.confirmed_ms = now; /* the clock went back */
	if (mine.confirmed_ms < l->oldest_ms)
		return;
	depends_restored(&mine);
	cache_put(l->s->cache, 0, &mine);
	l->count++;
}

static int
load(struct snapshot *s, int fd, const struct stat *st, struct verr *e)
{
	size_t size = (size_t)st->st_size;
	struct loading l = {
		.s = s,
		.offset_ms = real_ms() - loop_now_ms(),
		.oldest_ms = loop_now_ms() - conf_ms("dirxml_stale_for"),
	};
	void *data = NULL;
	int rc;

	if (size) {
		data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (data == MAP_FAILED)
			return verr_sys(e, VERR_SYSTEM, "it cannot be read");
	}
	rc = snapshotfile_parse(data ? data : "", size, load_item, &l, e);
	if (data)
		munmap(data, size);
	if (rc == 0) {
		s->written_ms = (int64_t)st->st_mtim.tv_sec * 1000;
		log_info("%zu answers from snapshot '%s/" NAME "'", l.count,
			 s->path);
	}
	return rc;
}

static void
read_snapshot(struct snapshot *s)
{
	struct verr e = VERR_INIT;
	struct stat st;
	int rc, fd = openat(s->dir, NAME,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1 && errno == ENOENT)
		return;
	if (fd == -1 || fstat(fd, &st) == -1)
		rc = verr_sys(&e, VERR_SYSTEM, "it cannot be opened");
	else if (!S_ISREG(st.st_mode) ||
		 (st.st_uid != geteuid() && st.st_uid != 0) ||
		 (st.st_mode & (S_IWGRP | S_IRWXO)))
		rc = verr_set(&e, VERR_INPUT,
			      "it is no file of our own that nobody else can "
			      "write");
	else
		rc = load(s, fd, &st, &e);
	if (rc == -1)
		log_warning("snapshot '%s/" NAME "' is ignored: %s", s->path,
			    e.msg);
	if (fd != -1)
		close(fd);
}

/* --- writing ---------------------------------------------------------- */

/* What a killed process left: nobody holds its lock. */
static void
remove_leftovers(struct snapshot *s)
{
	int fd, copy = dup(s->dir);
	DIR *dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir) {
		if (copy != -1)
			close(copy);
		return;
	}
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, TEMPORARY, strlen(TEMPORARY)) != 0)
			continue;
		fd = openat(s->dir, d->d_name,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd == -1)
			continue;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(s->dir, d->d_name, 0);
		close(fd);
	}
	closedir(dir);
}

static int
write_now(const struct snapshot *s, struct verr *e)
{
	int64_t now = loop_now_ms();
	char name[64];
	int fd, rc;

	snprintf(name, sizeof(name), TEMPORARY "%ld", (long)getpid());
	unlinkat(s->dir, name, 0);
	fd = openat(s->dir, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot create a snapshot");
	flock(fd, LOCK_EX | LOCK_NB);
	rc = snapshotfile_write(fd, s->cache, now - conf_ms("dirxml_stale_for"),
				real_ms() - now, e);
	if (rc == 0 &&
	    (fsync(fd) == -1 || renameat(s->dir, name, s->dir, NAME) == -1 ||
	     fsync(s->dir) == -1))
		rc = verr_sys(e, VERR_SYSTEM, "cannot finish a snapshot");
	if (rc == -1)
		unlinkat(s->dir, name, 0);
	close(fd);
	return rc;
}

static void
written(struct snapshot *s, bool good, uint64_t state, int64_t at_ms,
	const char *why)
{
	if (good) {
		s->written_state = state;
		s->written_ms = at_ms;
		s->failing = false;
		return;
	}
	metric_add(METRIC_SNAPSHOT_FAILURES, 1);
	if (!s->failing)
		log_warning("no snapshot in '%s': %s", s->path, why);
	s->failing = true;
}

static void
child_is_over(struct snapshot *s)
{
	int status = -1;

	while (waitpid(s->child, &status, 0) == -1 && errno == EINTR)
		;
	if (s->child_fd != -1) {
		loop_remove_fd(s->loop, s->child_fd);
		close(s->child_fd);
	}
	s->child = 0;
	s->child_fd = -1;
	written(s, WIFEXITED(status) && WEXITSTATUS(status) == 0,
		s->child_state, s->child_ms, "its writer failed");
}

static void
on_child(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	child_is_over(arg);
}

/* Only what it writes, and what it says, is open in the child. */
static void
child(struct snapshot *s)
{
	struct verr e = VERR_INIT;

	if (s->dir != STDERR_FILENO + 1) {
		if (dup3(s->dir, STDERR_FILENO + 1, O_CLOEXEC) == -1)
			_exit(1);
		s->dir = STDERR_FILENO + 1;
	}
	syscall(SYS_close_range, (unsigned)s->dir + 1, ~0U, 0);
	if (write_now(s, &e) == -1) {
		log_warning("no snapshot in '%s': %s", s->path, e.msg);
		_exit(1);
	}
	_exit(0);
}

static void
start_child(struct snapshot *s)
{
	struct verr e = VERR_INIT;

	s->child_state = state_of(s->cache);
	s->child_ms = real_ms();
	s->child = fork();
	if (s->child == 0)
		child(s);
	if (s->child == -1) {
		s->child = 0;
		written(s, false, 0, 0, strerror(errno));
		return;
	}
	s->child_fd = (int)syscall(SYS_pidfd_open, s->child, 0);
	if (s->child_fd == -1 ||
	    loop_add_fd(s->loop, s->child_fd, EPOLLIN, on_child, s, &e) == -1)
		child_is_over(s);
}

/* An empty one would only take the place of a better one. */
static bool
is_due(const struct snapshot *s)
{
	struct cache_stats stats;

	cache_stats(s->cache, &stats);
	return s->dir != -1 && stats.entries > stats.negative &&
	       stats.state != s->written_state;
}

static void
on_timer(void *arg)
{
	struct snapshot *s = arg;
	int64_t interval = conf_ms("dirxml_snapshot_interval");

	if (!s->child && is_due(s))
		start_child(s);
	if (interval)
		loop_timer_set(s->loop, &s->timer, interval);
}

/* --- life ------------------------------------------------------------- */

static void
open_folder(struct snapshot *s, const char *path)
{
	if (!*path)
		return;
	s->path = strdup(path);
	if (!s->path)
		return;
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir == -1)
		log_warning("no snapshot in '%s': %s", path, strerror(errno));
}

struct snapshot *
snapshot_new(struct loop *loop, struct cache *cache, struct verr *e)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	s->loop = loop;
	s->cache = cache;
	s->dir = s->child_fd = -1;
	s->timer = (struct loop_timer){ .fn = on_timer, .arg = s };
	open_folder(s, conf_str("dirxml_state_dir"));
	if (s->dir != -1)
		read_snapshot(s);
	s->written_state = state_of(cache);
	return s;
}

void
snapshot_start(struct snapshot *s)
{
	s->started = true;
	if (s->dir != -1)
		remove_leftovers(s);
	snapshot_reload(s);
}

void
snapshot_reload(struct snapshot *s)
{
	int64_t interval = conf_ms("dirxml_snapshot_interval");

	if (interval && s->started)
		loop_timer_set(s->loop, &s->timer, interval);
	else
		loop_timer_clear(s->loop, &s->timer);
}

void
snapshot_free(struct snapshot *s)
{
	struct verr e = VERR_INIT;

	if (!s)
		return;
	loop_timer_clear(s->loop, &s->timer);
	if (s->child) {
		kill(s->child, SIGKILL);
		child_is_over(s);
		remove_leftovers(s);
	}
	if (s->started && is_due(s) && write_now(s, &e) == -1)
		written(s, false, 0, 0, e.msg);
	if (s->dir != -1)
		close(s->dir);
	free(s->path);
	free(s);
}

int64_t
snapshot_age_seconds(const struct snapshot *s)
{
	int64_t age = (real_ms() - s->written_ms) / 1000;

	if (!s->written_ms)
		return -1;
	return age < 0 ? 0 : age;
}
