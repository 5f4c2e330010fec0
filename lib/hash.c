#include "hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void
to_hex(char *out, const unsigned char *md, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		snprintf(out + (size_t)2 * i, 3, "%02x", md[i]);
}

static int
digest_hex(char *out, const EVP_MD *type, const char *name, const void *data,
	   size_t len, struct verr *e)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!type || EVP_Digest(data ? data : "", len, md, &n, type, NULL) != 1)
		return verr_set(e, VERR_SYSTEM, "libcrypto cannot compute %s",
				name);
	to_hex(out, md, n);
	return 0;
}

int
hash_md5_hex(char out[HASH_MD5_HEX], const void *data, size_t len,
	     struct verr *e)
{
	return digest_hex(out, EVP_md5(), "MD5", data, len, e);
}

int
hash_sha256_hex(char out[HASH_SHA256_HEX], const void *data, size_t len,
		struct verr *e)
{
	return digest_hex(out, EVP_sha256(), "SHA-256", data, len, e);
}

int
hash_hmac_hex(char out[HASH_SHA256_HEX], const void *key, size_t key_len,
	      const void *data, size_t len, struct verr *e)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key, (int)key_len, data, len, md, &n))
		return verr_set(e, VERR_SYSTEM, "libcrypto cannot sign");
	to_hex(out, md, n);
	return 0;
}

int
hash_random(void *out, size_t len, struct verr *e)
{
	unsigned char *p = out;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return verr_sys(e, VERR_SYSTEM,
					"cannot get random bytes");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

bool
hash_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}

void
hash_wipe(void *p, size_t len)
{
	if (p && len)
		OPENSSL_cleanse(p, len);
}
