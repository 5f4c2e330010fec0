#include "hanotify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "haalert.h"
#include "hasteps.h"
#include "log.h"
#include "pairfile.h"

/*
 * When keepalived started this process, in clock ticks since the boot; pids
 * tell those of one tick apart: "812 (voip-failover) S ...", see proc(5).
 */
static int64_t
started(void)
{
	char text[1024], *at;
	long long ticks = 0;
	ssize_t n = -1;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd != -1) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, " %lld", &ticks) != 1)
		return 0;
	return ((int64_t)ticks << 22) + getpid();
}

/* 1: a younger process knows better. */
static int
tell(enum ha_vrrp vrrp)
{
	struct verr e = VERR_INIT;
	int rc = pairfile_tell_vrrp_of(vrrp, started(), &e);

	if (rc == -1)
		log_warning("%s", e.msg);
	if (rc == 1)
		log_info("keepalived has said something else since");
	return rc;
}

/* After a split whoever keeps the address hears nothing but this. */
static enum ha_vrrp
meant(const char *word)
{
	if (strcmp(word, "MASTER_RX_LOWER_PRI") == 0)
		return HA_VRRP_MASTER;
	return ha_vrrp_from(word);
}

int
ha_cmd_notify(int argc, const char **argv, struct verr *e)
{
	enum ha_vrrp vrrp = meant(argv[2]);
	struct ha_outcome o = { 0 };
	pid_t alert;
	int rc;

	(void)argc;
	if (strcmp(argv[0], "INSTANCE") != 0)
		return 0;
	if (vrrp == HA_VRRP_NONE)
		return verr_set(e, VERR_USAGE,
				"'%s' is no state of keepalived\n"
				"hint: MASTER, BACKUP, FAULT or STOP",
				argv[2]);
	if (tell(vrrp) == 1)
		return 0;
	rc = ha_transition(ha_event_of(vrrp), vrrp, 0, &o, e);
	alert = ha_alert(&o, rc == -1 ? e : NULL);
	if (alert)
		waitpid(alert, NULL, 0);
	return rc;
}
