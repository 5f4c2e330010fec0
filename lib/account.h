/*
 * account: what a password becomes.
 *
 * Layer domain.  Passwords are never kept: HA1 (RFC 2617 section 3.2.2.2) is
 * MD5(user:realm:password), HA1b is the same with user@realm for phones that
 * send that as their user name, and the SHA-256 form is for RFC 8760.  The
 * realm is the domain.  Both names are part of each, so renaming an account
 * makes them useless.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "hash.h"
#include "verr.h"

struct account {
	char ha1[HASH_MD5_HEX];
	char ha1b[HASH_MD5_HEX];
	char ha1_sha256[HASH_SHA256_HEX];
};

int account_hash(struct account *a, const char *username, const char *domain,
		 const char *password, struct verr *e);

/* 256 bits from the kernel as base64url, and a NUL. */
#define ACCOUNT_SECRET 44
int account_random(char secret[ACCOUNT_SECRET], struct verr *e);
/* A PIN of 8 digits, and a NUL. */
int account_random_pin(char secret[ACCOUNT_SECRET], struct verr *e);

#endif
