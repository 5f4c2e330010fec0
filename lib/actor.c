#include "actor.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

/* The first line of a file of /proc, or "". */
static void
read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");

	line[0] = '\0';
	if (!f)
		return;
	if (!fgets(line, (int)size, f))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

/* The user of the login session; services and containers have none. */
static bool
login_user(uid_t *uid)
{
	const unsigned long none = 4294967295UL; /* (uid_t)-1 */
	char line[32], *end;
	unsigned long value;

	read_line("/proc/self/loginuid", line, sizeof(line));
	value = strtoul(line, &end, 10);
	if (end == line || value == none)
		return false;
	*uid = (uid_t)value;
	return true;
}

void
actor_name(struct buf *out)
{
	const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;
	uid_t uid = getuid();
	struct passwd *pw;

	if (!sudo)
		login_user(&uid);
	pw = sudo ? NULL : getpwuid(uid);
	if (sudo || pw)
		buf_printf(out, "os:%s", sudo ? sudo : pw->pw_name);
	else
		buf_printf(out, "os:%u", (unsigned)uid);
}

/* "192.0.2.7 51122 192.0.2.1 22" of sshd(8): the first word. */
static bool
add_ssh(struct buf *out)
{
	const char *s = getenv("SSH_CONNECTION");
	size_t n = s ? strspn(s, "0123456789abcdefABCDEF.:%") : 0;

	if (!n || n > 64)
		return false;
	buf_printf(out, " from %.*s", (int)n, s);
	return true;
}

/* sudo drops the variable; the terminal is still the session's. */
static bool
add_terminal(struct buf *out)
{
	const char *tty = ttyname(STDIN_FILENO);
	struct utmpx line = { .ut_type = USER_PROCESS }, *found;

	if (!tty)
		tty = ttyname(STDERR_FILENO);
	if (!tty || strncmp(tty, "/dev/", 5) != 0 ||
	    strlen(tty + 5) >= sizeof(line.ut_line))
		return false;
	memcpy(line.ut_line, tty + 5, strlen(tty + 5));
	setutxent();
	found = getutxline(&line);
	if (found && found->ut_host[0])
		buf_printf(out, " from %.*s", (int)sizeof(found->ut_host),
			   found->ut_host);
	endutxent();
	return found && found->ut_host[0];
}

/* The last *.service of the control group, as "0::/system.slice/x.service". */
static void
add_unit(struct buf *out)
{
	static const char suffix[] = ".service";
	char line[512];
	const char *name, *end;

	read_line("/proc/self/cgroup", line, sizeof(line));
	end = strstr(line, suffix);
	if (!end || strncmp(line, "0::", 3) != 0 ||
	    (end[strlen(suffix)] && end[strlen(suffix)] != '/') ||
	    strstr(line, "/user.slice/"))
		return;
	for (name = end; name[-1] != '/' && name > line + 3; name--)
		;
	buf_printf(out, " by %.*s", (int)(end - name + (int)strlen(suffix)),
		   name);
}

void
actor_origin(struct buf *out)
{
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	buf_puts(out, host);
	if (!add_ssh(out) && !add_terminal(out))
		add_unit(out);
}
