#include "hanode.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "loop.h"
#include "utf8.h"

#define LOCK_POLL_MS 5

void
ha_node_name(char *name, size_t size)
{
	snprintf(name, size, "%s", conf_str("node_name"));
	if (!*name && gethostname(name, size) == -1)
		snprintf(name, size, "localhost");
	name[size - 1] = '\0';
	utf8_trim(name);
}

struct db *
ha_node_connection(int64_t timeout_ms, struct verr *e)
{
	/* A commit here must not wait for a standby that may be gone. */
	static const char *const session[] = {
		"set synchronous_commit to local",
		NULL,
	};
	const struct db_options o = {
		.role = "voip_failover",
		.conninfo = conf_str("node_database"),
		.session_attrs = "any",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = timeout_ms,
		.session_sql = session,
	};

	return db_new(&o, e);
}

struct db *
ha_peer_connection(int64_t timeout_ms, struct verr *e)
{
	const struct db_options o = {
		.conninfo = conf_str("peer_replication"),
		.role = "voip_failover",
		.session_attrs = "any",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = timeout_ms,
	};

	if (*o.conninfo)
		return db_new(&o, e);
	verr_set(e, VERR_CONFIG, "setting 'peer_replication' is empty");
	return NULL;
}

int64_t
ha_real_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int
ha_lock(int64_t wait_ms, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + wait_ms;
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", conf_str("failover_state_dir"));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open '%s'", path);
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK || loop_now_ms() >= end) {
			close(fd);
			return verr_set(e, VERR_RETRY,
					"another voip-failover is at work "
					"('%s' is locked)",
					path);
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

int
ha_track(const char *name, int64_t value, struct verr *e)
{
	char path[4096], text[24];

	snprintf(text, sizeof(text), "%" PRId64 "\n", value);
	snprintf(path, sizeof(path), "%s/%s", conf_str("health_dir"), name);
	if (file_has(path, text))
		return 0;
	return file_replace(path, text, strlen(text), 0644, false, e);
}

int64_t
ha_track_read(const char *name)
{
	struct verr ignored = VERR_INIT;
	struct buf text = BUF_INIT;
	char path[4096];
	int64_t value = 0;

	snprintf(path, sizeof(path), "%s/%s", conf_str("health_dir"), name);
	if (file_read(path, 24, &text, &ignored) == 0)
		value = strtoll(text.data, NULL, 10);
	buf_release(&text);
	return value;
}
