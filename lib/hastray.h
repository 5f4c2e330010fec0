/*
 * hastray: a standby that runs and can never follow its primary.
 *
 * Layer domain.  It has replayed WAL of a timeline past the point at which the
 * primary left it: PostgreSQL says so in its log at each attempt, and tries
 * again for ever.  Such is a standby whose primary came back with less than it
 * had sent (a disk of yesterday), or was promoted elsewhere meanwhile.
 */
#ifndef HASTRAY_H
#define HASTRAY_H

#include "hastate.h"

/* `s` is a standby that does not stream, the peer a primary.  False, too, when
 * that cannot be told. */
bool ha_is_stray(const struct ha_state *s);

/*
 * The same of a directory in which PostgreSQL does not start.  pg_rewind notes
 * up to where its source had made WAL, not what of it was on the disk: when
 * that one ends in the same moment, the WAL between never comes, and the copy
 * is consistent nowhere.
 */
bool ha_is_stranded(void);

#endif
