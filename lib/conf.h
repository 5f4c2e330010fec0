/*
 * conf: the settings of every program, from one table.
 *
 * Layer text.  The table in conftable.c holds a row for each setting: name,
 * type, default, range, help.  A value comes from the first of: the command
 * line (`--set NAME=VALUE`), the environment (VOIP_NAME in upper case), the
 * file (`--config`, VOIP_CONFIG, else /etc/voip/voip.conf; a missing default
 * file is no error), the table.  A file line is `name=value` or
 * `VOIP_NAME=value`, as a shell could source it: comments with # on lines of
 * their own, values in single or double quotes, no expansion; what a shell,
 * systemd and we would read differently is refused.  The last of several lines
 * counts.  An unknown name or a value out of range is VERR_CONFIG and names
 * file and line.  The log is set up from the settings log_*.
 *
 * Adding a setting: one row in conftable.c, its paragraph in voip.conf(5) and
 * its commented line in etc/voip.conf (a test holds the three together).
 *
 * Asking for a name that the table does not have, or as the wrong type, is a
 * programming error: assert.
 *
 * Settings whose name has a dot pattern (`service.NAME.start`) are rows whose
 * name holds `*`; conf_str() then takes the full name.  Case, `.`, `-` and `_`
 * of such a name are the same, since the environment has only `_`.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

/*
 * An override from the command line, "name=value"; before conf_load().
 * VERR_USAGE; secrets are refused, because the process list shows them.
 */
int conf_override(const char *assignment, struct verr *e);

/* The file of --config; before conf_load().  `path` is borrowed. */
void conf_set_file(const char *path);

/*
 * Read everything.  Called again (SIGHUP) it reads anew; on error the former
 * values stay.  Strings borrowed from before a successful reload are freed.
 */
int conf_load(struct verr *e);

/*
 * The same for who must answer whatever the file says: what is wrong is left
 * out, the rest holds.  -1 with the first fault when there was one.
 */
int conf_load_leniently(struct verr *e);

/*
 * Borrowed until the next conf_load(); "" when empty, never NULL.  For every
 * type: the text as it was given.  Before conf_load(): the default.
 */
const char *conf_str(const char *name);
long conf_int(const char *name); /* in the unit of the table's row */
bool conf_bool(const char *name);
/* A duration row ("60s", "5m", "1h", "250ms", "7d", plain number = s). */
int64_t conf_ms(const char *name);
/* A size row ("64k", "1M", "10G", plain number = bytes). */
int64_t conf_bytes(const char *name);

/*
 * Every setting as `name=value` lines that conf_load() reads again, each with
 * a comment that says where the value came from; secrets only as a comment
 * with `********`.
 */
void conf_show(struct buf *out);

#endif
