#include "pgcontrol.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "loop.h"
#include "pgnode.h"
#include "services.h"

#define POLL_MS     2
#define KILLED_WAIT INT64_C(5000)

static const char *
data_directory(void)
{
	return conf_str("postgresql_data_directory");
}

/* --- its processes ---------------------------------------------------- */

static bool
works_in(const char *pid, const struct stat *directory)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/cwd", pid);
	return stat(path, &st) == 0 && st.st_dev == directory->st_dev &&
	       st.st_ino == directory->st_ino &&
	       pgnode_is_live(strtol(pid, NULL, 10));
}

/*
 * Send `sig` (0: only count) to each of its processes.  A kill of a stopped one
 * needs no SIGCONT.
 */
static int
signal_all(int sig, struct verr *e)
{
	const struct dirent *entry;
	struct stat directory;
	int count = 0;
	DIR *dir;

	if (stat(data_directory(), &directory) == -1)
		return verr_sys(e, VERR_CONFIG,
				"cannot look at postgresql_data_directory '%s'",
				data_directory());
	dir = opendir("/proc");
	if (!dir)
		return verr_sys(e, VERR_SYSTEM, "cannot read /proc");
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    pid == getpid() || !works_in(entry->d_name, &directory))
			continue;
		count++;
		if (sig && kill(pid, sig) == -1 && errno != ESRCH) {
			verr_sys(e, VERR_SYSTEM, "cannot kill process %ld",
				 (long)pid);
			count = -1;
			break;
		}
	}
	closedir(dir);
	return count;
}

/* 0: none is left; 1: some are after `wait_ms`. */
static int
await_none(int64_t wait_ms, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + wait_ms;
	int n;

	while ((n = signal_all(0, e)) > 0 && loop_now_ms() < end)
		nanosleep(&pause, NULL);
	return n > 0 ? 1 : n;
}

int
pg_kill(int64_t patience_ms, struct verr *e)
{
	struct pgnode_postmaster postmaster;
	int left;

	if (!*data_directory())
		return verr_set(e, VERR_CONFIG,
				"setting 'postgresql_data_directory' is empty: "
				"whether PostgreSQL still writes cannot be "
				"known");
	if (pgnode_postmaster(data_directory(), &postmaster, e) == -1)
		return -1;
	if (postmaster.pid) {
		kill(postmaster.pid, SIGQUIT);
		kill(postmaster.pid, SIGCONT);
		left = await_none(patience_ms, e);
	} else {
		/* Backends outlive a killed postmaster, and still acknowledge
		 * what they commit. */
		left = await_none(0, e);
	}
	if (left <= 0)
		return left;
	if (services_kill(conf_str("postgresql_service"), e) == -1 ||
	    signal_all(SIGKILL, e) == -1)
		return -1;
	left = await_none(KILLED_WAIT, e);
	if (left == 1)
		return verr_set(
			e, VERR_SYSTEM,
			"processes of PostgreSQL do not die (state D?)");
	return left;
}

int
pg_freeze(struct verr *e)
{
	return signal_all(SIGSTOP, e) == -1 ? -1 : 0;
}

int
pg_thaw(struct verr *e)
{
	return signal_all(SIGCONT, e) == -1 ? -1 : 0;
}

/* --- the data directory ----------------------------------------------- */

static void
signal_path(char *path, size_t size)
{
	snprintf(path, size, "%s/standby.signal", data_directory());
}

int
pg_mark_standby(struct verr *e)
{
	char path[PATH_MAX];
	int fd;

	signal_path(path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || fsync(fd) == -1) {
		verr_sys(e, VERR_SYSTEM, "cannot make '%s'", path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* By root it would be in the way of its owner. */
	if (getuid() == 0) {
		struct stat st;

		if (stat(data_directory(), &st) == 0 &&
		    fchown(fd, st.st_uid, st.st_gid) == -1)
			verr_sys(e, VERR_SYSTEM, "cannot give '%s' away", path);
	}
	close(fd);
	return 0;
}

int
pg_unmark_standby(struct verr *e)
{
	char path[PATH_MAX];

	signal_path(path, sizeof(path));
	if (unlink(path) == -1 && errno != ENOENT)
		return verr_sys(e, VERR_SYSTEM, "cannot remove '%s'", path);
	return 0;
}

int
pg_start(struct verr *e)
{
	return services_start(conf_str("postgresql_service"), e);
}

int
pg_stop(struct verr *e)
{
	return services_stop(conf_str("postgresql_service"), e);
}
