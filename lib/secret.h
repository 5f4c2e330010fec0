/*
 * secret: what must be sent to others is kept sealed.
 *
 * Layer text.  AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce and the
 * key of the file `secret_key_file`: 64 hex digits, the same on both nodes,
 * never in the database, mode 0600 or 0640.  `name` says what the secret is of
 * ("trunks.password:carrier1") and is authenticated, so one sealed value cannot
 * take the place of another; after a rename it must be given anew.
 *
 * Sealed form: a version byte (1), nonce (12), ciphertext, tag (16).
 */
#ifndef SECRET_H
#define SECRET_H

#include <stddef.h>

#include "buf.h"
#include "verr.h"

#define SECRET_KEY 32 /* bytes */

/*
 * A key file: 64 hex digits.  VERR_CONFIG when it is missing, open to others
 * or no key.  The caller wipes `key`.
 */
int secret_read_key(unsigned char key[SECRET_KEY], const char *path,
		    struct verr *e);

/* VERR_CONFIG as secret_read_key(), of the setting secret_key_file. */
int secret_seal(struct buf *out, const char *name, const char *secret,
		struct verr *e);
/*
 * VERR_INPUT when it was sealed with another key or name, or changed.  The
 * caller wipes and releases `out`.
 */
int secret_open(struct buf *out, const char *name, const void *sealed,
		size_t len, struct verr *e);
/* How often secret_open() has succeeded: who makes a document can see by it
 * whether it may hold a secret. */
unsigned long secret_opened(void);
/* A new key in the form of the file; the caller wipes and releases `out`. */
int secret_make_key(struct buf *out, struct verr *e);

#endif
