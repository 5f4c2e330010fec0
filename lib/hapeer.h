/*
 * hapeer: ask the other node.
 *
 * Layer domain.  A signed question over HTTP to `peer_address`, a signed
 * answer; see peerwire.h.  All of them wait.
 */
#ifndef HAPEER_H
#define HAPEER_H

#include <stdint.h>

#include "hastate.h"

/* The questions; names of the paths below /peer/. */
#define HA_ASK_STATE  "state"  /* what are you? */
#define HA_ASK_DEMOTE "demote" /* stop writing, then say what you are */

/*
 * VERR_RETRY: no answer; VERR_CONFIG: an answer that is not signed with our
 * key; VERR_CONFLICT: it refuses, and the message says why.
 */
int ha_peer_ask(const char *question, int64_t timeout_ms, struct ha_state *peer,
		struct verr *e);

#endif
