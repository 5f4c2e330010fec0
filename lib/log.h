/*
 * log: one line an event, on standard error, as text or as JSON.
 *
 * Layer base.  Under systemd (JOURNAL_STREAM set) each text line starts with
 * the `<N>` priority prefix of sd-daemon(3) and has no time of its own.
 * Control bytes and invalid UTF-8 of the values are escaped, so no caller can
 * forge a line.  Secrets are never passed here: mask them first.
 *
 *   text: voip-dirxml[812]: lookup section=directory action=sip_auth user=1001
 *   json: {"time":"...Z","level":"info","program":"...","pid":812,
 *          "event":"lookup","section":"directory",...}
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

/* Before the first call: level info, format text. */
void log_setup(enum log_level level, enum log_format format);

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

#define log_error(...)   log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
