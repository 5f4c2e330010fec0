#include "hajournal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "hanode.h"
#include "jsonmember.h"
#include "log.h"
#include "loop.h"

#define JOURNAL_MAX ((size_t)64 << 20)

static void
add_time(struct buf *b)
{
	int64_t ms = ha_real_ms();
	time_t now = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "%s.%03dZ", text, (int)(ms % 1000));
}

static void
add(struct buf *b, const char *name, const char *value)
{
	if (value && *value)
		jsonmember_add_string(b, name, value);
}

/* The power went in the middle of the last line: it stays one of its own. */
static bool
is_torn(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last;

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

static int
append(const char *line, size_t len, bool durable, struct verr *e)
{
	char path[4096];
	ssize_t n;
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/journal.jsonl",
		 conf_str("failover_state_dir"));
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		  0640);
	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open '%s'", path);
	if (is_torn(fd) && write(fd, "\n", 1) == -1)
		n = -1;
	else
		n = write(fd, line, len);
	if (n != (ssize_t)len || (durable && fsync(fd) == -1))
		rc = verr_sys(e, VERR_RETRY, "cannot write '%s'", path);
	close(fd);
	return rc;
}

static int
write_line(const struct ha_kept *k, const char *action, const char *event,
	   const char *why, int64_t took_ms, bool durable, struct verr *e)
{
	struct buf b = BUF_INIT;
	char name[64];
	int rc;

	ha_node_name(name, sizeof(name));
	buf_puts(&b, "{\"at\":\"");
	add_time(&b);
	buf_putc(&b, '"');
	add(&b, "node", name);
	add(&b, "id", k->id);
	add(&b, "action", action);
	add(&b, "event", event);
	add(&b, "step", strcmp(event, "step") == 0 ? k->step : NULL);
	add(&b, "vrrp", ha_vrrp_word(k->vrrp));
	if (strcmp(action, ha_action_word(HA_PROMOTE)) == 0)
		jsonmember_add_number(&b, "timeline", k->generation);
	if (took_ms >= 0)
		jsonmember_add_number(&b, "ms", took_ms);
	add(&b, "why", why);
	buf_puts(&b, "}\n");
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : append(b.data, b.len, durable, e);
	buf_release(&b);
	return rc;
}

int
ha_journal_begin(struct ha_journal *j, struct ha_kept *kept,
		 enum ha_action action, const char *why, struct verr *e)
{
	j->kept = kept;
	j->begun_ms = loop_now_ms();
	snprintf(kept->doing, sizeof(kept->doing), "%s",
		 ha_action_word(action));
	snprintf(kept->id, sizeof(kept->id), "%" PRIx64 "-%ld", ha_real_ms(),
		 (long)getpid());
	snprintf(kept->step, sizeof(kept->step), "begin");
	log_event(LOG_LEVEL_INFO, kept->doing, "id", kept->id, "why", why,
		  NULL);
	if (ha_kept_save(kept, e) == -1)
		return -1;
	return write_line(kept, kept->doing, "intent", why, -1, true, e);
}

int
ha_journal_step(struct ha_journal *j, const char *step, struct verr *e)
{
	struct ha_kept *k = j->kept;

	snprintf(k->step, sizeof(k->step), "%s", step);
	log_event(LOG_LEVEL_INFO, "step", "id", k->id, "action", k->doing,
		  "step", step, NULL);
	if (ha_kept_save(k, e) == -1)
		return -1;
	return write_line(k, k->doing, "step", NULL,
			  loop_now_ms() - j->begun_ms, false, e);
}

int
ha_journal_end(struct ha_journal *j, const char *failure, struct verr *e)
{
	struct ha_kept *k = j->kept;
	int64_t took = loop_now_ms() - j->begun_ms;
	char action[sizeof(k->doing)];
	char ms[24];

	snprintf(action, sizeof(action), "%s", k->doing);
	snprintf(ms, sizeof(ms), "%" PRId64, took);
	log_event(failure ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
		  failure ? "failed" : "done", "id", k->id, "action", action,
		  "ms", ms, "why", failure, NULL);
	*k->doing = *k->step = '\0';
	if (ha_kept_save(k, e) == -1)
		return -1;
	return write_line(k, action, failure ? "failed" : "done", failure, took,
			  true, e);
}

int
ha_journal_note(const struct ha_kept *kept, const char *action, const char *why,
		struct verr *e)
{
	log_event(LOG_LEVEL_WARNING, action, "why", why, NULL);
	return write_line(kept, action, "note", why, -1, true, e);
}

static bool
is_record(const char *line)
{
	json_t *object = json_loads(line, 0, NULL);
	bool is_so = json_is_object(object);

	json_decref(object);
	return is_so;
}

int
ha_journal_read(size_t max, void (*fn)(const char *line, void *arg), void *arg,
		struct verr *e)
{
	struct verr why = VERR_INIT;
	struct buf text = BUF_INIT;
	char path[4096], *line;
	size_t lines = 0;

	snprintf(path, sizeof(path), "%s/journal.jsonl",
		 conf_str("failover_state_dir"));
	if (file_read(path, JOURNAL_MAX, &text, &why) == -1) {
		buf_release(&text);
		if (why.kind == VERR_NOTFOUND)
			return 0;
		*e = why;
		return -1;
	}
	/* What the power left of a line may be zeros. */
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\0')
			text.data[i] = ' ';
		lines += text.data[i] == '\n';
	}
	for (line = text.data; *line;) {
		char *end = line + strcspn(line, "\n");
		/* The last one may be half: the power went. */
		bool whole = *end == '\n';

		*end = '\0';
		if (whole && lines-- <= max && is_record(line))
			fn(line, arg);
		line = end + whole;
	}
	buf_release(&text);
	return 0;
}
