#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "utf8.h"

/* What a caller may make us write of one value. */
#define VALUE_MAX 4096

/* ECMA-48: to the first column, and erase to the end of the line. */
#define ERASE "\r\033[K"

static const struct {
	const char *name;
	const char *prefix; /* sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARNING] = { "warning", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

static enum log_level max_level = LOG_LEVEL_INFO;
static enum log_format format_now = LOG_FORMAT_TEXT;
static enum log_target target_now = LOG_TARGET_AUTO;
static bool status_shown;

void
log_setup(enum log_level level, enum log_format format, enum log_target target)
{
	max_level = level;
	format_now = format;
	target_now = target;
}

bool
log_wants(enum log_level level)
{
	return level <= max_level;
}

/*
 * JOURNAL_STREAM is inherited by children whose standard error is something
 * else, hence the comparison that systemd.exec(5) asks for.
 */
static bool
is_journal(void)
{
	static int known = -1;
	unsigned long long dev, ino;
	const char *stream;
	struct stat st;

	if (target_now != LOG_TARGET_AUTO)
		return target_now == LOG_TARGET_JOURNAL;
	if (known != -1)
		return known;
	known = 0;
	stream = getenv("JOURNAL_STREAM");
	if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0)
		known = st.st_dev == dev && st.st_ino == ino;
	return known;
}

static void
add_time(struct buf *b)
{
	char seconds[32];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_printf(b, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static size_t
cut(const char *s)
{
	size_t len = strnlen(s, VALUE_MAX + 1);

	return len > VALUE_MAX ? VALUE_MAX : len;
}

static void
begin(struct buf *b, enum log_level level)
{
	const char *program = program_invocation_short_name;
	bool journal = is_journal();

	if (format_now == LOG_FORMAT_JSON) {
		if (journal)
			buf_puts(b, levels[level].prefix);
		buf_puts(b, "{\"time\":\"");
		add_time(b);
		buf_printf(b, "\",\"level\":\"%s\",\"program\":",
			   levels[level].name);
		utf8_json(b, program, cut(program));
		buf_printf(b, ",\"pid\":%ld", (long)getpid());
		return;
	}
	if (journal) {
		buf_puts(b, levels[level].prefix);
	} else {
		add_time(b);
		buf_putc(b, ' ');
		utf8_escape(b, program, cut(program));
		buf_printf(b, "[%ld]: ", (long)getpid());
	}
}

static void
put(const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		p += n;
		len -= (size_t)n;
	}
}

/* The buffer is kept: a process that is out of memory still has it. */
static void
end(struct buf *b)
{
	static const char lost[] = "a log line was lost: out of memory\n";

	buf_putc(b, '\n');
	if (status_shown)
		put(ERASE, sizeof(ERASE) - 1);
	status_shown = false;
	if (buf_failed(b))
		put(lost, sizeof(lost) - 1);
	else
		put(b->data, b->len);
}

static void
add_json(struct buf *b, const char *name, const char *value)
{
	buf_putc(b, ',');
	utf8_json(b, name, cut(name));
	buf_putc(b, ':');
	utf8_json(b, value, cut(value));
}

/* name=value, quoted when a reader could not tell where the value ends. */
static void
add_text(struct buf *b, const char *name, const char *value)
{
	size_t len = cut(value), i, start;

	buf_printf(b, " %s=", name);
	if (len && !value[strcspn(value, " \"\\=")]) {
		utf8_escape(b, value, len);
		return;
	}
	buf_putc(b, '"');
	for (i = start = 0; i < len; i++) {
		if (value[i] != '"' && value[i] != '\\')
			continue;
		utf8_escape(b, value + start, i - start);
		buf_putc(b, '\\');
		start = i;
	}
	utf8_escape(b, value + start, len - start);
	buf_putc(b, '"');
}

static struct buf *
fresh_line(void)
{
	static struct buf line;

	buf_clear(&line);
	return &line;
}

void
log_msg(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char text[VALUE_MAX];
	struct buf *b;
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	b = fresh_line();
	begin(b, level);
	if (format_now == LOG_FORMAT_JSON) {
		add_json(b, "message", text);
		buf_putc(b, '}');
	} else {
		if (level <= LOG_LEVEL_WARNING)
			buf_printf(b, "%s: ", levels[level].name);
		utf8_escape(b, text, strlen(text));
	}
	end(b);
	errno = saved_errno;
}

void
log_event(enum log_level level, const char *event, ...)
{
	int saved_errno = errno;
	const char *name, *value;
	struct buf *b;
	va_list ap;

	if (!log_wants(level))
		return;
	b = fresh_line();
	begin(b, level);
	if (format_now == LOG_FORMAT_JSON)
		add_json(b, "event", event);
	else
		utf8_escape(b, event, cut(event));
	va_start(ap, event);
	while ((name = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (!value)
			continue;
		if (format_now == LOG_FORMAT_JSON)
			add_json(b, name, value);
		else
			add_text(b, name, value);
	}
	va_end(ap);
	if (format_now == LOG_FORMAT_JSON)
		buf_putc(b, '}');
	end(b);
	errno = saved_errno;
}

/* --- the status line -------------------------------------------------- */

/* A job in the background must not draw over the shell's line. */
bool
log_has_status(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0) &&
	       tcgetpgrp(STDERR_FILENO) == getpgrp();
}

void
log_status(const char *text)
{
	int saved_errno = errno;
	struct winsize size = { .ws_col = 80 };
	size_t len = text ? strlen(text) : 0;
	struct buf b = BUF_INIT;

	if ((!len && !status_shown) || !log_has_status()) {
		errno = saved_errno;
		return;
	}
	ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
	buf_puts(&b, ERASE);
	/* A full line would wrap, and could not be erased. */
	if (len && size.ws_col && len >= size.ws_col)
		len = size.ws_col - 1U;
	utf8_escape(&b, len ? text : "", len);
	if (!buf_failed(&b)) {
		put(b.data, b.len);
		status_shown = len != 0;
	}
	buf_release(&b);
	errno = saved_errno;
}
