/*
 * hapeer: ask the other node.
 *
 * Layer domain.  A signed question over HTTP to `peer_address`, a signed
 * answer; see peerwire.h.
 *
 * A peer whose clock differs from ours says so, signed and over our own nonce:
 * from then on questions are asked in its time, so a clock that jumped keeps
 * nobody from being told to stop.
 */
#ifndef HAPEER_H
#define HAPEER_H

#include <stdint.h>

#include "hastate.h"
#include "peerwire.h"

/* The questions; names of the paths below /peer/. */
#define HA_ASK_STATE  "state"  /* what are you? */
#define HA_ASK_DEMOTE "demote" /* stop writing, then say what you are */
#define HA_ASK_LEASE  "lease"  /* are you there?  What were you last? */

/* Questions in vain, one after the other, of which the first may be our own
 * standing still. */
#define HA_PEER_SILENCE 2

/* What a peer answers, with 409, to a question that is not of its now. */
#define HA_PEER_CLOCKS "the clocks of the two nodes differ"

/*
 * Waits.  VERR_RETRY: no answer; VERR_CONFIG: an answer that is not signed with
 * our key; VERR_CONFLICT: it refuses, and the message says why.
 */
int ha_peer_ask(const char *question, int64_t timeout_ms, struct ha_state *peer,
		struct verr *e);

/*
 * The same for a loop: a request with its nonce, to be posted to `url`, and
 * what to make of the answer.
 */
int
ha_peer_request(const char *question, const unsigned char *key, struct buf *url,
		struct buf *request, char nonce[PEER_NONCE], struct verr *e);
int ha_peer_answer(long status, const struct buf *answer,
		   const unsigned char *key, const char *question,
		   const char *nonce, struct ha_state *peer, struct verr *e);

#endif
