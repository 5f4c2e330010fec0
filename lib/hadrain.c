#include "hadrain.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "conf.h"
#include "loop.h"

#define POLL_MS INT64_C(500)

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

int
ha_drain_count(long *calls, struct verr *e)
{
	struct buf said = BUF_INIT;
	int rc = run("drain_count", &said, e);
	const char *digit = said.data + strcspn(said.data, "0123456789");

	*calls = 0;
	if (rc == 0 && *conf_str("drain_count")) {
		if (*digit)
			*calls = strtol(digit, NULL, 10);
		else
			rc = verr_set(e, VERR_CONFIG,
				      "drain_count prints no number");
	}
	buf_release(&said);
	return rc;
}

int
ha_drain(long *calls, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + conf_ms("drain_time");

	if (run_quiet("drain_command", e) == -1)
		return -1;
	while (ha_drain_count(calls, e) == 0) {
		if (*calls == 0 || loop_now_ms() >= end)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -1;
}

int
ha_drain_undo(struct verr *e)
{
	return run_quiet("drain_undo", e);
}
