#include "verdict.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"

#define VERSION_1 1

int64_t
verdict_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Where there is no room for a second file the first one is written over: that
 * needs none, and who reads it in between is told next time.
 */
static int
overwrite(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = -1;

	if (fd == -1)
		return -1;
	if (pwrite(fd, text, len, 0) == (ssize_t)len)
		rc = ftruncate(fd, (off_t)len);
	close(fd);
	return rc;
}

static int
put(const char *name, const char *text, struct verr *e)
{
	char path[4096];
	struct verr why = VERR_INIT;
	size_t len = strlen(text);

	snprintf(path, sizeof(path), "%s/%s", conf_str("health_dir"), name);
	if (file_replace(path, text, len, 0644, false, &why) == 0 ||
	    (why.kind == VERR_RETRY && overwrite(path, text, len) == 0))
		return 0;
	*e = why;
	return -1;
}

/* Keepalived looks at each change of the file. */
static bool
has_text(const char *name, const char *text)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", conf_str("health_dir"), name);
	return file_has(path, text);
}

int
verdict_write(const struct verdict *v, struct verr *e)
{
	const char *health = v->fit ? "0\n" : "1\n";
	char line[512];

	/* First what moves the address. */
	if (!has_text("health", health) && put("health", health, e) == -1)
		return -1;
	snprintf(line, sizeof(line), "%d %" PRId64 " %" PRId64 " %s %s %d %s\n",
		 VERSION_1, v->at_ms, v->valid_ms,
		 !v->fit   ? "unfit"
		 : v->held ? "held"
			   : "fit",
		 v->role, v->has_address, v->cause);
	return put("verdict", line, e);
}

int
verdict_claim(struct verr *e)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/verdict.lock", conf_str("health_dir"));
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return verr_set(e, VERR_CONFLICT,
			"another voip-healthd writes the verdict in '%s'",
			conf_str("health_dir"));
}

void
verdict_remove(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/verdict", conf_str("health_dir"));
	unlink(path);
}

int
verdict_read(struct verdict *v, struct verr *e)
{
	struct verr why = VERR_INIT;
	struct buf b = BUF_INIT;
	int version = 0, address = 0, used = 0;
	char path[4096], fit[8] = "";
	int64_t age;

	memset(v, 0, sizeof(*v));
	snprintf(path, sizeof(path), "%s/verdict", conf_str("health_dir"));
	if (file_read(path, sizeof(v->cause) * 2, &b, &why) == -1) {
		buf_release(&b);
		return verr_set(e, VERR_NOTFOUND,
				"no verdict: %.300s\n"
				"hint: is voip-healthd running?",
				why.msg);
	}
	if (sscanf(b.data, "%d %" SCNd64 " %" SCNd64 " %7s %15s %d %n",
		   &version, &v->at_ms, &v->valid_ms, fit, v->role, &address,
		   &used) == 6 &&
	    version == VERSION_1)
		snprintf(v->cause, sizeof(v->cause), "%.*s",
			 (int)strcspn(b.data + used, "\n"), b.data + used);
	else
		version = 0;
	buf_release(&b);
	/* It quotes what others said, and goes to a terminal. */
	for (char *at = v->cause; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	if (!version)
		return verr_set(e, VERR_NOTFOUND, "no verdict: '%s' is damaged",
				path);
	v->held = strcmp(fit, "held") == 0;
	v->fit = v->held || strcmp(fit, "fit") == 0;
	v->has_address = address;
	age = verdict_now_ms() - v->at_ms;
	if (age < 0 || age > v->valid_ms)
		return verr_set(e, VERR_NOTFOUND,
				"the verdict is %" PRId64 " ms old\n"
				"hint: is voip-healthd running?",
				age);
	return 0;
}
