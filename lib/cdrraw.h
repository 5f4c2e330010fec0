/*
 * cdrraw: the text of a CDR without its secrets, to be kept.
 *
 * Layer text.  Values of members with a secret's name, at any depth, are
 * replaced: digits that were dialled, session descriptions (addresses, keys),
 * what SIP and HTTP authenticate with, passwords, PINs, tokens; and whatever
 * name a dialplan gave the digits that `read` or `play_and_get_digits` asked
 * for.  So are values that hold an assignment to such a name, as dial strings
 * do, a session description, an address with a password, or a conference's
 * PIN.  CDRRAW_WORDS is the one table of names; letters match in both cases,
 * `-` as `_`.
 *
 * The rest stays byte for byte.
 */
#ifndef CDRRAW_H
#define CDRRAW_H

#include <stddef.h>

#include "buf.h"

/* A name is secret with one of these in it; PART: anywhere, WORD: between
 * what are no letters and digits. */
#define CDRRAW_WORDS(X)          \
	X(PART, "a1_hash")       \
	X(PART, "authorization") \
	X(PART, "credential")    \
	X(PART, "crypto")        \
	X(PART, "digit")         \
	X(WORD, "ha1")           \
	X(PART, "nonce")         \
	X(PART, "passcode")      \
	X(PART, "passwd")        \
	X(PART, "password")      \
	X(WORD, "pin")           \
	X(PART, "sdp")           \
	X(PART, "secret")        \
	X(PART, "sip_auth_")     \
	X(PART, "token")

#define CDRRAW_REMOVED "(removed)"

/* Append `json`, which must be valid JSON, to `out` without secrets. */
void cdr_raw(struct buf *out, const char *json, size_t len);

#endif
