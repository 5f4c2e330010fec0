/*
 * voip-health: the verdict on this node, for keepalived; all else is
 * voip-healthd's.
 *
 * `check` is run each second, so this program is linked with nothing but libc
 * and starts in a millisecond.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "verdict.h"

#define DAEMON "voip-healthd"
#define CONFIG "--config="
/* Keepalived waits for one, and then for its signals. */
#define DEADLINE_S 1

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

static void
on_alarm(int signal)
{
	(void)signal;
	_exit(1);
}

/*
 * Nothing may make it hang, neither a FIFO where a file should be nor a reader
 * that does not read; and a wrong line in the settings, which tend to reach
 * both nodes, does not make either of them unfit.
 */
static int
check(bool must_be_primary)
{
	struct verr e = VERR_INIT;
	struct verdict v;

	signal(SIGALRM, on_alarm);
	alarm(DEADLINE_S);
	if (conf_load_leniently(&e) == -1)
		complain(&e);
	e = (struct verr)VERR_INIT;
	if (verdict_read(&v, &e) == -1 || judge(&v, must_be_primary, &e) == -1)
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

static int
refuse(const char *argument)
{
	struct verr e = VERR_INIT;

	verr_set(&e, VERR_USAGE,
		 "check does not know '%s'\n"
		 "hint: check [--role=primary] [--config=FILE]",
		 argument);
	return complain(&e);
}

static bool
is_check(char **argv)
{
	for (char **a = argv + 1; *a; a++)
		if (strcmp(*a, "check") == 0)
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	bool must_be_primary = false;

	(void)argc;
	if (!is_check(argv))
		return become_daemon(argv);
	for (char **a = argv + 1; *a; a++) {
		if (strcmp(*a, "--role=primary") == 0)
			must_be_primary = true;
		else if (strncmp(*a, CONFIG, strlen(CONFIG)) == 0)
			conf_set_file(*a + strlen(CONFIG));
		else if (strcmp(*a, "check") != 0)
			return refuse(*a);
	}
	return check(must_be_primary);
}
