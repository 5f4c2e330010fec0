/*
 * peerwire: what the two nodes say to each other, signed.
 *
 * Layer text.  A message is a line and a body:
 *
 *   voip-peer 1 TIME NONCE MAC
 *   {...}
 *
 * TIME is milliseconds since the epoch, NONCE 32 hex digits, MAC the
 * HMAC-SHA256 (RFC 2104) in hex over direction, name, time, nonce and body
 * with the shared key of `peer_key_file`.  An answer has the nonce of its
 * request, so no older answer can take its place; the direction is signed, so
 * no request is its own answer.
 *
 * A request counts once and within PEER_WINDOW_MS of our clock.  A clock that
 * jumped must not be silent: such a request is well signed, and the caller
 * can say so in a signed answer (PEER_LATE).
 */
#ifndef PEERWIRE_H
#define PEERWIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "secret.h"
#include "verr.h"

#define PEER_WINDOW_MS INT64_C(30000)
#define PEER_NONCE     33 /* with its NUL */
#define PEER_BODY_MAX  ((size_t)16384)

struct peer_message {
	char nonce[PEER_NONCE];
	int64_t time_ms;
	const char *body; /* borrowed from the text that was read */
};

enum peer_verdict {
	PEER_GOOD,
	PEER_LATE,   /* well signed, but not of now */
	PEER_REPLAY, /* well signed, but seen before */
	PEER_FORGED, /* not signed with our key, or no message at all */
};

enum peer_direction { PEER_REQUEST, PEER_ANSWER };

/* A nonce for a request. */
int peer_nonce(char nonce[PEER_NONCE], struct verr *e);

/* Append the message `name` ("state", "demote"). */
int peer_write(struct buf *out, const unsigned char key[SECRET_KEY],
	       enum peer_direction direction, const char *name, int64_t now_ms,
	       const char *nonce, const char *body, struct verr *e);

/*
 * Read `text` (NUL-terminated, changed).  For an answer `nonce` is that of the
 * request; for a request NULL, and what was seen is remembered.
 */
enum peer_verdict
peer_read(char *text, const unsigned char key[SECRET_KEY],
	  enum peer_direction direction, const char *name, int64_t now_ms,
	  const char *nonce, struct peer_message *m);

#endif
