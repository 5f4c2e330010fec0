#include "account.h"

#include <string.h>

#include "b64.h"
#include "buf.h"

/* "user:realm:password" and its digest; the text is wiped. */
static int
digest(char *out, int (*hash)(char *, const void *, size_t, struct verr *),
       const char *user, const char *at, const char *domain,
       const char *password, struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	/* One allocation: no copy of the password is left behind. */
	if (!buf_reserve(&b, strlen(user) + 2 * strlen(domain) +
				     strlen(password) + 4))
		return verr_set(e, VERR_RETRY, "out of memory");
	buf_printf(&b, "%s%s%s:%s:", user, at, *at ? domain : "", domain);
	buf_puts(&b, password);
	rc = hash(out, b.data, b.len, e);
	hash_wipe(b.data, b.len);
	buf_release(&b);
	return rc;
}

int
account_hash(struct account *a, const char *username, const char *domain,
	     const char *password, struct verr *e)
{
	if (digest(a->ha1, hash_md5_hex, username, "", domain, password, e) ||
	    digest(a->ha1b, hash_md5_hex, username, "@", domain, password, e) ||
	    digest(a->ha1_sha256, hash_sha256_hex, username, "", domain,
		   password, e))
		return -1;
	return 0;
}

int
account_random(char secret[ACCOUNT_SECRET], struct verr *e)
{
	unsigned char bytes[32];
	struct buf b = BUF_INIT;
	int rc = hash_random(bytes, sizeof(bytes), e);

	if (rc == 0)
		b64url_encode(&b, bytes, sizeof(bytes));
	if (rc == 0 && (buf_failed(&b) || b.len != ACCOUNT_SECRET - 1))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0)
		memcpy(secret, b.data, ACCOUNT_SECRET);
	hash_wipe(bytes, sizeof(bytes));
	if (b.len)
		hash_wipe(b.data, b.len);
	buf_release(&b);
	return rc;
}

int
account_random_pin(char secret[ACCOUNT_SECRET], struct verr *e)
{
	unsigned char byte = 0;
	size_t n = 0;
	int rc = 0;

	while (n < 8 && (rc = hash_random(&byte, 1, e)) == 0)
		if (byte < 250) /* or the first digits would be likelier */
			secret[n++] = (char)('0' + byte % 10);
	secret[n] = '\0';
	return rc;
}
