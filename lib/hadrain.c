#include "hadrain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "command.h"
#include "conf.h"
#include "hanode.h"
#include "log.h"
#include "loop.h"
#include "verdict.h"

#define POLL_MS INT64_C(200)
#define STARTED "drain"

static int
run(const char *setting, struct buf *said, struct verr *e)
{
	const char *command = conf_str(setting);
	int status;

	if (!*command)
		return 0;
	status = command_run(command, NULL, NULL, conf_ms("service_timeout"),
			     said, e);
	if (status == -1)
		return verr_wrap(e, "%s", setting);
	if (status > 0)
		return verr_set(e, VERR_SYSTEM, "%s: status %d: %.*s", setting,
				status, (int)strcspn(said->data, "\n"),
				said->data);
	return 0;
}

static int
run_quiet(const char *setting, struct verr *e)
{
	struct buf said = BUF_INIT;
	int rc = run(setting, &said, e);

	buf_release(&said);
	return rc;
}

/* The first number that a command prints; 0 without one. */
static int
count(const char *setting, long *number, struct verr *e)
{
	struct buf said = BUF_INIT;
	int rc = run(setting, &said, e);
	const char *digit = said.data + strcspn(said.data, "0123456789");

	*number = 0;
	if (rc == 0 && *conf_str(setting)) {
		if (*digit)
			*number = strtol(digit, NULL, 10);
		else
			rc = verr_set(e, VERR_CONFIG, "%s prints no number",
				      setting);
	}
	buf_release(&said);
	return rc;
}

/* Whose name begins with a dot is not acknowledged yet, or no record. */
static int
count_spool(long *records, struct verr *e)
{
	const char *path = conf_str("cdr_spool_dir");
	const struct dirent *entry;
	struct stat st;
	DIR *dir;

	dir = *path ? opendir(path) : NULL;
	if (!dir)
		return !*path || errno == ENOENT
			       ? 0
			       : verr_sys(e, VERR_SYSTEM,
					  "cannot read cdr_spool_dir '%s'",
					  path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    fstatat(dirfd(dir), entry->d_name, &st,
			    AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			(*records)++;
	closedir(dir);
	return 0;
}

static int
count_records(long *records, struct verr *e)
{
	if (count("drain_records", records, e) == -1)
		return -1;
	return count_spool(records, e);
}

int
ha_drain_count(struct ha_drained *left, struct verr *e)
{
	*left = (struct ha_drained){ 0 };
	if (count("drain_count", &left->calls, e) == -1)
		return -1;
	return count_records(&left->records, e);
}

static int
await_none(int (*fn)(long *number, struct verr *e), int64_t wait_ms,
	   long *number, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + wait_ms;
	int rc;

	while ((rc = fn(number, e)) == 0 && *number && loop_now_ms() < end)
		nanosleep(&pause, NULL);
	return rc;
}

static int
count_calls(long *calls, struct verr *e)
{
	return count("drain_count", calls, e);
}

static void
tell_left(const struct ha_drained *left)
{
	if (left->calls || left->records)
		log_warning("%ld calls go on and will end, %ld records wait "
			    "on this node",
			    left->calls, left->records);
}

int
ha_drain(struct verr *e)
{
	struct ha_drained left = { 0 };

	if (run_quiet("drain_command", e) == -1 ||
	    await_none(count_calls, conf_ms("drain_time"), &left.calls, e) ==
		    -1 ||
	    await_none(count_records, conf_ms("service_timeout"), &left.records,
		       e) == -1)
		return -1;
	tell_left(&left);
	return 0;
}

int
ha_drain_undo(struct verr *e)
{
	if (ha_track_read(STARTED) && ha_track(STARTED, 0, e) == -1)
		return -1;
	return run_quiet("drain_undo", e);
}

/* --- without the address ---------------------------------------------- */

bool
ha_drain_takes_time(void)
{
	return *conf_str("drain_command") || *conf_str("drain_count") ||
	       *conf_str("drain_records");
}

static bool
begin(int64_t now, struct verr *e)
{
	return run_quiet("drain_command", e) == 0 &&
	       ha_track(STARTED, now, e) == 0;
}

bool
ha_drain_goes_on(void)
{
	int64_t now = verdict_now_ms(), since = ha_track_read(STARTED);
	int64_t calls_ms = conf_ms("drain_time");
	int64_t records_ms = calls_ms + conf_ms("service_timeout");
	struct ha_drained left;
	struct verr e = VERR_INIT;
	bool goes_on = false;

	if (!ha_drain_takes_time())
		return false;
	if (!since)
		since = now;
	if ((since == now && !begin(now, &e)) ||
	    ha_drain_count(&left, &e) == -1) {
		log_error("%s", e.msg);
	} else if (left.calls && now - since < calls_ms) {
		goes_on = true;
	} else if (left.records && now - since < records_ms) {
		goes_on = true;
	} else {
		tell_left(&left);
	}
	if (!goes_on && ha_track(STARTED, 0, &e) == -1)
		log_error("%s", e.msg);
	return goes_on;
}
