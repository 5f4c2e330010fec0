/*
 * log: one line an event, on standard error, as text or as JSON.
 *
 * Layer base.  When standard error is the journal (JOURNAL_STREAM names it)
 * each line starts with the `<N>` priority of sd-daemon(3), and text has no
 * time of its own.  Control bytes and invalid UTF-8 are escaped and long values
 * are cut, so no caller can forge a line or flood the log.  Each line is one
 * write(2).  Secrets are never passed here: mask them first.
 *
 *   text: 2026-11-21T05:17:35.123Z voip-dirxml[812]: lookup
 *         section=directory action=sip_auth user=1001   (one line)
 *   json: {"time":"...Z","level":"info","program":"...","pid":812,
 *          "event":"lookup","section":"directory",...}
 *
 * A free-form message is the member "message" in JSON, and text of levels
 * error and warning says so: "voip-dirxml[812]: warning: ...".
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_target {
	LOG_TARGET_AUTO,    /* the journal when standard error is it */
	LOG_TARGET_STDERR,  /* always with a time */
	LOG_TARGET_JOURNAL, /* always with a priority, e.g. for systemd-cat */
};

/*
 * Before the first call: level info, format text, target auto.  conf_load()
 * calls it with the settings.
 */
void
log_setup(enum log_level level, enum log_format format, enum log_target target);

bool log_wants(enum log_level level);

/* A free-form message: "cannot reach the database: ..." */
void log_msg(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * An event with fields: name, value, name, value, NULL.  A NULL value leaves
 * the field out.
 */
void log_event(enum log_level level, const char *event, ...)
	__attribute__((sentinel));

/*
 * The status line: one line of ASCII that is drawn over itself, on a terminal
 * only, and that gives way to any message.  NULL or "" erases it.
 */
void log_status(const char *text);
/* Whether log_status() would be seen. */
bool log_has_status(void);

#define log_error(...)   log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
