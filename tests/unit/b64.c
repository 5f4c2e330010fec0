/* b64: RFC 4648's vectors, what is refused and where. */

#include "unit.h"

#include "b64.h"

static const struct {
	const char *plain;
	const char *coded;
} vectors[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

static const struct {
	const char *coded;
	const char *plain; /* NULL: refused */
	const char *error;
} testv[] = {
	{ "Zm9v\r\nYmFy\r\n", "foobar", NULL },
	{ " Zm 9v\tYg", "foob", NULL },
	{ "Zg", "f", NULL },
	{ "Zm8", "fo", NULL },
	{ "Zg== \n", "f", NULL },
	{ "Zg= =", "f", NULL },
	{ "Z", NULL, "base64 ends early at offset 1" },
	{ "Zm9vZ", NULL, "base64 ends early at offset 5" },
	{ "Zg=", NULL, "wrong base64 padding at offset 2" },
	{ "Zg===", NULL, "wrong base64 padding at offset 2" },
	{ "Zm8==", NULL, "wrong base64 padding at offset 3" },
	{ "Z===", NULL, "wrong base64 padding at offset 1" },
	{ "Zm9v=", NULL, "byte 0x3d at offset 4 is not base64" },
	{ "=", NULL, "byte 0x3d at offset 0 is not base64" },
	{ "Zg==Zg==", NULL, "byte 0x5a at offset 4 is not base64" },
	{ "Zm9v%3D", NULL, "byte 0x25 at offset 4 is not base64" },
	{ "Zm-v", NULL, "byte 0x2d at offset 2 is not base64" },
	{ "Zm\xc3\xa9", NULL, "byte 0xc3 at offset 2 is not base64" },
};

static void
test_vectors(void)
{
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct buf b = BUF_INIT;
		struct verr e = VERR_INIT;

		b64_encode(&b, vectors[i].plain, strlen(vectors[i].plain));
		CHECK_STR(b.data, vectors[i].coded);
		buf_clear(&b);
		CHECK(b64_decode(&b, vectors[i].coded, strlen(vectors[i].coded),
				 &e) == 0);
		CHECK_STR(b.data, vectors[i].plain);
		buf_release(&b);
	}
}

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct buf b = BUF_INIT;
		struct verr e = VERR_INIT;
		int rc;

		buf_puts(&b, "<");
		rc = b64_decode(&b, testv[i].coded, strlen(testv[i].coded), &e);
		if (testv[i].plain) {
			CHECK(rc == 0);
			CHECK_STR(b.data + 1, testv[i].plain);
		} else {
			CHECK(rc == -1 && e.kind == VERR_INPUT);
			CHECK_STR(e.msg, testv[i].error);
			CHECK_STR(b.data, "<");
		}
		buf_release(&b);
	}
}

static void
test_every_byte(void)
{
	struct buf coded = BUF_INIT, plain = BUF_INIT, url = BUF_INIT;
	struct verr e = VERR_INIT;
	unsigned char all[256];

	for (unsigned i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	b64_encode(&coded, all, sizeof(all));
	CHECK(b64_decode(&plain, coded.data, coded.len, &e) == 0);
	CHECK(plain.len == 256 && memcmp(plain.data, all, 256) == 0);
	b64url_encode(&url, all, sizeof(all));
	CHECK(url.len == 342 && !strpbrk(url.data, "+/="));
	CHECK(strpbrk(url.data, "-_") != NULL);
	buf_release(&coded);
	buf_release(&plain);
	buf_release(&url);
}

static void
there_and_back(bool may_fail)
{
	struct buf coded = BUF_INIT, plain = BUF_INIT;
	struct verr e = VERR_INIT;

	b64_encode(&coded, "some text that is longer", 24);
	if (buf_failed(&coded))
		CHECK(may_fail && coded.len == 0);
	else if (b64_decode(&plain, coded.data, coded.len, &e) == -1)
		CHECK(may_fail && e.kind == VERR_RETRY && plain.len == 0);
	else
		CHECK_STR(plain.data, "some text that is longer");
	buf_release(&coded);
	buf_release(&plain);
}

int
main(void)
{
	test_vectors();
	test_table();
	test_every_byte();
	CHECK(unit_each_failure(there_and_back) == 2);
	return unit_end();
}
