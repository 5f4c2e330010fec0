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
		 "hint: check [--role=primary] [--config=FILE] "
		 "[--set=NAME=VALUE]",
		 argument);
	return complain(&e);
}

static bool
has_word(char **argv, const char *word)
{
	for (char **a = argv + 1; *a; a++)
		if (strcmp(*a, word) == 0)
			return true;
	return false;
}

/* These are answered the same whatever the command. */
static bool
is_question(char **argv)
{
	static const char *const questions[] = { "-h", "--help", "-V",
						 "--version", "--show-config" };

	for (size_t i = 0; i < sizeof(questions) / sizeof(*questions); i++)
		if (has_word(argv, questions[i]))
			return true;
	return false;
}

/* "--name=value", or "--name" and "value", to which **a is moved; else NULL. */
static const char *
value_of(char ***a, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(**a, name, len) != 0)
		return NULL;
	if ((**a)[len] == '=')
		return **a + len + 1;
	return (**a)[len] == '\0' && (*a)[1] ? *++*a : NULL;
}

int
main(int argc, char **argv)
{
	bool must_be_primary = false;
	struct verr e = VERR_INIT;

	(void)argc;
	if (!has_word(argv, "check") || is_question(argv))
		return become_daemon(argv);
	for (char **a = argv + 1; *a; a++) {
		char *argument = *a;
		const char *value;

		if ((value = value_of(&a, "--role"))) {
			must_be_primary = strcmp(value, "primary") == 0;
			if (!must_be_primary)
				return refuse(argument);
		} else if ((value = value_of(&a, "--config"))) {
			conf_set_file(value);
		} else if ((value = value_of(&a, "--set"))) {
			if (conf_override(value, &e) == -1)
				return complain(&e);
		} else if (strcmp(argument, "check") != 0) {
			return refuse(argument);
		}
	}
	return check(must_be_primary);
}
