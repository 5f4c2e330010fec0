/*
 * reload: changes of the directory, brought to Kamailio and FreeSWITCH.
 *
 * Layer domain.  Each change becomes commands (reloadplan.h) for the peers that
 * are configured (settings kamailio_rpc and freeswitch_event_socket, empty:
 * none).  The peers do not wait for one another, and each has a list of its own
 * that survives its absence (reloadpeer.h).  What depends on a changed row is
 * asked from the database; when that is away, more is forgotten instead.
 *
 * After the last change it ends when the peers have got everything.  VERR_RETRY
 * when a peer has not after `wait_ms`; it is named, with the reason.
 * VERR_INPUT: lines that were no changes, after the others were delivered.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "change.h"
#include "out.h"
#include "verr.h"

struct reload_options {
	bool kamailio;
	bool freeswitch;
	int64_t wait_ms;
	/* Print the commands instead: columns peer and command; else NULL.
	 * A task by difference is told by what it asks first. */
	struct out *print;
};

extern const struct out_column reload_columns[2];

int reload_changes(const struct reload_options *o, const struct change *changes,
		   size_t n, struct verr *e);

/* Lines until their end; a bad one is logged and counted. */
int reload_lines(const struct reload_options *o, int fd, struct verr *e);

#endif
