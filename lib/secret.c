#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "hash.h"

enum {
	VERSION_1 = 1,
	KEY = SECRET_KEY,
	NONCE = 12,
	TAG = 16,
	HEAD = 1 + NONCE,
};

static unsigned long opened;

/* --- the key ---------------------------------------------------------- */

static int
hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *p = c ? strchr(digits, c) : 0;

	return p ? (int)(p - digits) : -1;
}

static int
parse_key(unsigned char key[KEY], const char *text, size_t len)
{
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len != 2 * KEY)
		return -1;
	for (size_t i = 0; i < KEY; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high == -1 || low == -1)
			return -1;
		key[i] = (unsigned char)(high << 4 | low);
	}
	return 0;
}

int
secret_read_key(unsigned char key[SECRET_KEY], const char *path, struct verr *e)
{
	char text[2 * KEY + 8];
	struct stat st;
	ssize_t n;
	int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return verr_sys(e, VERR_CONFIG, "cannot open key file '%s'",
				path);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		verr_set(e, VERR_CONFIG, "key file '%s' is no file", path);
	} else if (st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP)) {
		verr_set(e, VERR_CONFIG,
			 "key file '%s' is open to others\n"
			 "hint: chmod 0640 '%s'",
			 path, path);
	} else {
		n = read(fd, text, sizeof(text));
		if (n == -1)
			verr_sys(e, VERR_CONFIG, "cannot read key file '%s'",
				 path);
		else if (parse_key(key, text, (size_t)n) == -1)
			verr_set(e, VERR_CONFIG,
				 "key file '%s' does not hold 64 hex digits",
				 path);
		else
			rc = 0;
	}
	hash_wipe(text, sizeof(text));
	close(fd);
	return rc;
}

int
secret_make_key(struct buf *out, struct verr *e)
{
	unsigned char key[KEY];

	if (!buf_reserve(out, 2 * KEY + 1))
		return verr_set(e, VERR_RETRY, "out of memory");
	if (hash_random(key, sizeof(key), e) == -1)
		return -1;
	for (size_t i = 0; i < KEY; i++)
		buf_printf(out, "%02x", key[i]);
	buf_putc(out, '\n');
	hash_wipe(key, sizeof(key));
	return 0;
}

/* --- sealing ---------------------------------------------------------- */

static bool
encrypt(EVP_CIPHER_CTX *ctx, const unsigned char *key, unsigned char *sealed,
	const char *name, const char *secret, int len)
{
	unsigned char *text = sealed + HEAD;
	int n;

	return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key,
				  sealed + 1) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)name,
				 (int)strlen(name)) == 1 &&
	       EVP_EncryptUpdate(ctx, text, &n, (const unsigned char *)secret,
				 len) == 1 &&
	       EVP_EncryptFinal_ex(ctx, text + n, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG,
				   text + len) == 1;
}

int
secret_seal(struct buf *out, const char *name, const char *secret,
	    struct verr *e)
{
	unsigned char key[KEY];
	size_t len = strlen(secret);
	EVP_CIPHER_CTX *ctx;
	unsigned char *sealed;
	int rc = -1;

	if (len > INT_MAX / 2 || strlen(name) > INT_MAX / 2)
		return verr_set(e, VERR_INPUT, "the secret is too long");
	if (secret_read_key(key, conf_str("secret_key_file"), e) == -1)
		return -1;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx || !buf_reserve(out, HEAD + len + TAG)) {
		verr_set(e, VERR_RETRY, "out of memory");
		goto out;
	}
	sealed = (unsigned char *)out->data + out->len;
	sealed[0] = VERSION_1;
	if (hash_random(sealed + 1, NONCE, e) == -1)
		goto out;
	if (!encrypt(ctx, key, sealed, name, secret, (int)len)) {
		verr_set(e, VERR_BUG, "cannot seal '%s'", name);
		goto out;
	}
	out->len += HEAD + len + TAG;
	out->data[out->len] = '\0';
	rc = 0;

out:
	EVP_CIPHER_CTX_free(ctx);
	hash_wipe(key, sizeof(key));
	return rc;
}

static bool
decrypt(EVP_CIPHER_CTX *ctx, const unsigned char *key,
	const unsigned char *sealed, const char *name, unsigned char *text,
	int len)
{
	unsigned char tag[TAG];
	int n;

	memcpy(tag, sealed + HEAD + len, TAG);
	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key,
				  sealed + 1) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)name,
				 (int)strlen(name)) == 1 &&
	       EVP_DecryptUpdate(ctx, text, &n, sealed + HEAD, len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
	       EVP_DecryptFinal_ex(ctx, text + n, &n) == 1;
}

unsigned long
secret_opened(void)
{
	return opened;
}

int
secret_open(struct buf *out, const char *name, const void *sealed, size_t len,
	    struct verr *e)
{
	const unsigned char *bytes = sealed;
	unsigned char key[KEY];
	EVP_CIPHER_CTX *ctx;
	size_t text;
	int rc = -1;

	if (len < HEAD + TAG || len > INT_MAX || bytes[0] != VERSION_1)
		return verr_set(e, VERR_INPUT, "'%s' is not sealed", name);
	text = len - HEAD - TAG;
	if (secret_read_key(key, conf_str("secret_key_file"), e) == -1)
		return -1;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx || !buf_reserve(out, text)) {
		verr_set(e, VERR_RETRY, "out of memory");
	} else if (!decrypt(ctx, key, bytes, name,
			    (unsigned char *)out->data + out->len, (int)text)) {
		hash_wipe(out->data + out->len, text);
		verr_set(e, VERR_INPUT,
			 "'%s' was sealed with another key or name", name);
	} else {
		out->len += text;
		opened++;
		rc = 0;
	}
	if (out->size)
		out->data[out->len] = '\0';
	EVP_CIPHER_CTX_free(ctx);
	hash_wipe(key, sizeof(key));
	return rc;
}
