/*
 * hash: digests, random bytes and comparison in constant time.
 *
 * Layer text; the only file that includes libcrypto.
 */
#ifndef HASH_H
#define HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "verr.h"

#define HASH_MD5_HEX    33 /* lower-case hex and NUL */
#define HASH_SHA256_HEX 65

int hash_md5_hex(char out[HASH_MD5_HEX], const void *data, size_t len,
		 struct verr *e);
int hash_sha256_hex(char out[HASH_SHA256_HEX], const void *data, size_t len,
		    struct verr *e);
/* RFC 2104 with SHA-256. */
int hash_hmac_hex(char out[HASH_SHA256_HEX], const void *key, size_t key_len,
		  const void *data, size_t len, struct verr *e);
/* From the kernel: getrandom(2). */
int hash_random(void *out, size_t len, struct verr *e);
/* Time depends on the lengths only. */
bool hash_equal(const void *a, size_t a_len, const void *b, size_t b_len);
/* Overwrite a secret; not optimised away. */
void hash_wipe(void *p, size_t len);

#endif
