/*
 * b64: base64 of RFC 4648, both alphabets.
 *
 * Layer text.
 */
#ifndef B64_H
#define B64_H

#include <stddef.h>

#include "buf.h"
#include "verr.h"

/*
 * Decode the standard alphabet; padding may be absent, white space is passed
 * over.  VERR_INPUT names the offset of what is wrong.
 */
int b64_decode(struct buf *out, const char *s, size_t len, struct verr *e);
void b64_encode(struct buf *out, const void *data, size_t len);
/* base64url without padding, as for API keys and generated secrets. */
void b64url_encode(struct buf *out, const void *data, size_t len);

#endif
