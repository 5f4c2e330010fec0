/*
 * siphash: a hash under a key, for tables whose keys strangers choose.
 *
 * Layer base.  SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast
 * short-input PRF"; the rounds that tables are hashed with elsewhere).  Who
 * does not know the key cannot choose inputs that collide.
 */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k[2];
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

#endif
