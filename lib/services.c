#include "services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "conf.h"
#include "log.h"

/* How long to ask; the answer is not worth more. */
#define STATUS_MS INT64_C(5000)

enum verb { START, STOP, KILL, STATUS };

static const struct {
	const char *word;    /* in the setting's name, and for people */
	const char *systemd; /* what it is without one */
} verbs[] = {
	[START] = { "start", "systemctl start" },
	[STOP] = { "stop", "systemctl stop" },
	[KILL] = { "kill", "systemctl kill -s KILL" },
	[STATUS] = { "status", "systemctl is-active --quiet" },
};

/* The exit status, or -1. */
static int
run(enum verb verb, const char *name, struct buf *said, struct verr *e)
{
	const char *const extra[] = { name, NULL };
	char setting[160];
	const char *command;
	int64_t timeout_ms =
		verb == STATUS ? STATUS_MS : conf_ms("service_timeout");

	snprintf(setting, sizeof(setting), "service.%.100s.%s", name,
		 verbs[verb].word);
	command = conf_str(setting);
	if (*command)
		return command_run(command, NULL, NULL, timeout_ms, said, e);
	return command_run(verbs[verb].systemd, extra, NULL, timeout_ms, said,
			   e);
}

static int
must_run(enum verb verb, const char *name, struct verr *e)
{
	struct buf said = BUF_INIT;
	int status = run(verb, name, &said, e);

	if (status == -1)
		verr_wrap(e, "cannot %s '%s'", verbs[verb].word, name);
	else if (status)
		verr_set(e, VERR_SYSTEM, "cannot %s '%s': status %d: %.*s",
			 verbs[verb].word, name, status,
			 (int)strcspn(said.data, "\n"), said.data);
	buf_release(&said);
	return status ? -1 : 0;
}

int
services_start(const char *name, struct verr *e)
{
	return must_run(START, name, e);
}

int
services_stop(const char *name, struct verr *e)
{
	return must_run(STOP, name, e);
}

int
services_kill(const char *name, struct verr *e)
{
	return must_run(KILL, name, e);
}

int
services_status(const char *name, struct verr *e)
{
	int status = run(STATUS, name, NULL, e);

	return status == -1 ? -1 : status == 0;
}

size_t
services_split(char *copy, const char *names[SERVICES_MAX])
{
	char *save = NULL;
	size_t n = 0;

	for (char *name = strtok_r(copy, " \t", &save); name;
	     name = strtok_r(NULL, " \t", &save))
		if (n < SERVICES_MAX)
			names[n++] = name;
	return n;
}

int
services_start_all(const char *list, struct verr *e)
{
	const char *names[SERVICES_MAX];
	bool started[SERVICES_MAX] = { false };
	char *copy = strdup(list);
	struct verr ignored = VERR_INIT;
	size_t n, i;
	int rc = 0;

	if (!copy)
		return verr_set(e, VERR_RETRY, "out of memory");
	n = services_split(copy, names);
	for (i = 0; i < n && rc == 0; i++) {
		if (services_status(names[i], &ignored) == 1)
			continue;
		rc = services_start(names[i], e);
		started[i] = rc == 0;
	}
	for (; rc == -1 && i > 0; i--)
		if (started[i - 1] &&
		    services_stop(names[i - 1], &ignored) == -1)
			log_warning("%s", ignored.msg);
	free(copy);
	return rc;
}
