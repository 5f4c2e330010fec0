/* secret: what was sealed is opened under its own name and key only. */

#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "secret.h"

static char path[] = "/tmp/voip-secret.XXXXXX";

static void
write_key(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	CHECK(fd != -1);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, mode) == 0);
	close(fd);
}

static void
new_key(void)
{
	struct verr e = VERR_INIT;
	struct buf key = BUF_INIT;

	CHECK(secret_make_key(&key, &e) == 0);
	CHECK(key.len == 65);
	write_key(key.data, 0600);
	buf_release(&key);
}

static bool
opens(const char *name, const char *sealed, size_t len)
{
	struct verr e = VERR_INIT;
	struct buf out = BUF_INIT;
	bool ok = secret_open(&out, name, sealed, len, &e) == 0;

	CHECK(ok || e.kind == VERR_INPUT);
	CHECK(ok || out.len == 0);
	buf_release(&out);
	return ok;
}

static void
test_round_trip(void)
{
	static const char *const words[] = { "", "x", "geheim",
					     "\xc3\xa4 \"%s" };
	struct verr e = VERR_INIT;

	new_key();
	for (size_t i = 0; i < COUNT(words); i++) {
		struct buf a = BUF_INIT, b = BUF_INIT, out = BUF_INIT;

		CHECK(secret_seal(&a, "t.c:one", words[i], &e) == 0);
		CHECK(secret_seal(&b, "t.c:one", words[i], &e) == 0);
		CHECK(a.len == 29 + strlen(words[i]));
		/* A nonce is used once. */
		CHECK(memcmp(a.data, b.data, a.len) != 0);
		CHECK(secret_open(&out, "t.c:one", a.data, a.len, &e) == 0);
		CHECK_BYTES(out.data, out.len, words[i], strlen(words[i]));
		buf_release(&a);
		buf_release(&b);
		buf_release(&out);
	}
}

static void
test_tampering(void)
{
	struct verr e = VERR_INIT;
	struct buf a = BUF_INIT;

	new_key();
	CHECK(secret_seal(&a, "t.c:one", "geheim", &e) == 0);
	CHECK(opens("t.c:one", a.data, a.len));
	CHECK(!opens("t.c:two", a.data, a.len));
	CHECK(!opens("", a.data, a.len));
	for (size_t i = 0; i < a.len; i++) {
		a.data[i] ^= 1;
		CHECK(!opens("t.c:one", a.data, a.len));
		a.data[i] ^= 1;
	}
	for (size_t len = 0; len < a.len; len++)
		CHECK(!opens("t.c:one", a.data, len));
	new_key();
	CHECK(!opens("t.c:one", a.data, a.len));
	buf_release(&a);
}

static void
refused(const char *what)
{
	struct verr e = VERR_INIT;
	struct buf out = BUF_INIT;

	CHECK(secret_seal(&out, "t.c:one", "geheim", &e) == -1);
	CHECK(e.kind == VERR_CONFIG);
	CHECK(strstr(e.msg, what) != NULL);
	CHECK(out.len == 0);
	buf_release(&out);
}

static void
test_key_file(void)
{
	static const char key[] = "0123456789abcdef0123456789abcdef"
				  "0123456789abcdef0123456789abcdef";
	struct verr e = VERR_INIT;
	struct buf out = BUF_INIT;

	write_key(key, 0640);
	CHECK(secret_seal(&out, "t.c:one", "geheim", &e) == 0);
	buf_release(&out);
	write_key(key, 0644);
	refused("is open to others");
	write_key(key, 0660);
	refused("is open to others");
	write_key(key + 1, 0600);
	refused("does not hold 64 hex digits");
	write_key("", 0600);
	refused("does not hold 64 hex digits");
	write_key("g123456789abcdef0123456789abcdef"
		  "0123456789abcdef0123456789abcdef",
		  0600);
	refused("does not hold 64 hex digits");
	unlink(path);
	refused("cannot open key file");
	CHECK(mkdir(path, 0700) == 0);
	refused("is no file");
	rmdir(path);
}

int
main(void)
{
	struct verr e = VERR_INIT;
	int fd = mkstemp(path);

	CHECK(fd != -1);
	close(fd);
	setenv("VOIP_SECRET_KEY_FILE", path, 1);
	setenv("VOIP_CONFIG", "/dev/null", 1);
	CHECK(conf_load(&e) == 0);
	test_round_trip();
	test_tampering();
	test_key_file();
	return unit_end();
}
