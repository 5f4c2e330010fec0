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
#include "peerwire.h"

/* The questions; names of the paths below /peer/. */
#define HA_ASK_STATE  "state"  /* what are you? */
#define HA_ASK_DEMOTE "demote" /* stop writing, then say what you are */
#define HA_ASK_LEASE  "lease"  /* are you there?  What were you last? */

/*
 * VERR_RETRY: no answer; VERR_CONFIG: an answer that is not signed with our
 * key; VERR_CONFLICT: it refuses, and the message says why.
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
