/*
 * voip-health: the verdict on this node, for keepalived; all else is
 * voip-healthd's.
 *
 * `check` is run each second, so this program is linked with nothing but libc
 * and starts in a millisecond.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "verdict.h"

#define DAEMON "voip-healthd"

static int
complain(const struct verr *e)
{
	fprintf(stderr, "voip-health: %s\n", e->msg);
	return e->kind == VERR_NOTFOUND ? 1 : verr_exit(e);
}

static int
judge(const struct verdict *v, bool must_be_primary, struct verr *e)
{
	if (!v->fit)
		return verr_set(e, VERR_NOTFOUND, "unfit: %s", v->cause);
	if (must_be_primary && strcmp(v->role, "primary") != 0)
		return verr_set(e, VERR_NOTFOUND,
				"no writable primary: its role is '%s'",
				v->role);
	if (must_be_primary && !v->has_address)
		return verr_set(e, VERR_NOTFOUND,
				"a primary without the virtual address");
	return 0;
}

static int
check(bool must_be_primary)
{
	struct verr e = VERR_INIT;
	struct verdict v;

	if (conf_load(&e) == -1 || verdict_read(&v, &e) == -1 ||
	    judge(&v, must_be_primary, &e) == -1)
		return complain(&e);
	return 0;
}

/* The daemon stands beside us, wherever that is. */
static int
become_daemon(char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	struct verr e = VERR_INIT;
	char *slash;

	if (n > 0 && n < (ssize_t)(sizeof(path) - sizeof(DAEMON))) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		memcpy(slash + 1, DAEMON, sizeof(DAEMON));
		execv(path, argv);
	}
	verr_sys(&e, VERR_SYSTEM, "cannot run %s", DAEMON);
	return complain(&e);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "check") == 0)
		return check(false);
	if (argc == 3 && strcmp(argv[1], "check") == 0 &&
	    strcmp(argv[2], "--role=primary") == 0)
		return check(true);
	return become_daemon(argv);
}
