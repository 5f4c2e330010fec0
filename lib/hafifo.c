#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "hafollow_private.h"
#include "log.h"
#include "pairfile.h"

#define FIFO_LINE 512

/* INSTANCE "VI_1" MASTER 200 */
static enum ha_vrrp
state_of(const char *line)
{
	const char *quote = strrchr(line, '"');
	char word[16];

	if (strncmp(line, "INSTANCE ", 9) != 0 || !quote ||
	    sscanf(quote + 1, " %15s", word) != 1)
		return HA_VRRP_NONE;
	return ha_vrrp_from(word);
}

static void
take_line(struct follow *f, const char *line)
{
	enum ha_vrrp state = state_of(line);
	struct verr e = VERR_INIT;

	/* With two that have the address it says so at each advert. */
	if (strcmp(f->said, line) != 0)
		log_event(LOG_LEVEL_INFO, "keepalived", "line", line, NULL);
	snprintf(f->said, sizeof(f->said), "%s", line);
	if (state == HA_VRRP_NONE)
		return;
	f->told = state;
	if (pairfile_tell_vrrp(state, &e) == -1)
		log_warning("%s", e.msg);
}

static void
on_fifo(int fd, unsigned events_, void *arg)
{
	struct follow *f = arg;
	char block[4096], *end;
	ssize_t n;

	(void)events_;
	while ((n = read(fd, block, sizeof(block))) > 0)
		buf_add(&f->line, block, (size_t)n);
	while ((end = memchr(f->line.data, '\n', f->line.len))) {
		*end = '\0';
		take_line(f, f->line.data);
		buf_skip(&f->line, (size_t)(end - f->line.data) + 1);
	}
	if (f->line.len > FIFO_LINE || buf_failed(&f->line)) {
		log_warning("rubbish in the notify FIFO");
		buf_clear(&f->line);
	}
	follow_next(f);
}

/* Open for both ways, so that it has no end when keepalived goes. */
int
follow_open_fifo(struct follow *f, struct verr *e)
{
	const char *path = conf_str("failover_fifo");
	struct stat st;

	if (mkfifo(path, 0600) == -1 && errno != EEXIST)
		return verr_sys(e, VERR_CONFIG, "cannot make the FIFO '%s'",
				path);
	f->fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (f->fifo == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open '%s'", path);
	if (fstat(f->fifo, &st) == -1 || !S_ISFIFO(st.st_mode))
		return verr_set(e, VERR_CONFIG, "'%s' is no FIFO", path);
	return loop_add_fd(f->loop, f->fifo, EPOLLIN, on_fifo, f, e);
}
