/* hash, metrics and verr: known answers. */

#include "unit.h"

#include <errno.h>

#include "hash.h"
#include "metrics.h"
#include "verr.h"

static void
test_digests(void)
{
	static const char ha1[] = "1001:pbx.example.com:geheim";
	struct verr e = VERR_INIT;
	char md5[HASH_MD5_HEX], sha[HASH_SHA256_HEX];

	CHECK(hash_md5_hex(md5, "", 0, &e) == 0);
	CHECK_STR(md5, "d41d8cd98f00b204e9800998ecf8427e");
	CHECK(hash_md5_hex(md5, ha1, sizeof(ha1) - 1, &e) == 0);
	CHECK_STR(md5, "42638121fe3ab5eead0931ce94a6101e");
	CHECK(hash_sha256_hex(sha, "abc", 3, &e) == 0);
	CHECK_STR(sha, "ba7816bf8f01cfea414140de5dae2223"
		       "b00361a396177a9cb410ff61f20015ad");
	CHECK(hash_sha256_hex(sha, NULL, 0, &e) == 0);
	CHECK_STR(sha, "e3b0c44298fc1c149afbf4c8996fb924"
		       "27ae41e4649b934ca495991b7852b855");
}

static void
test_secrets(void)
{
	unsigned char a[1000] = { 0 }, b[1000] = { 0 };
	struct verr e = VERR_INIT;
	char secret[] = "geheim";

	CHECK(hash_random(a, sizeof(a), &e) == 0);
	CHECK(hash_random(b, sizeof(b), &e) == 0);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(hash_equal("abc", 3, "abc", 3));
	CHECK(!hash_equal("abc", 3, "abd", 3));
	CHECK(!hash_equal("abc", 3, "ab", 2));
	CHECK(!hash_equal("abc", 2, "abc", 3));
	CHECK(!hash_equal("abc", 3, "abc", 2));
	CHECK(hash_equal("", 0, "", 0));
	hash_wipe(secret, sizeof(secret));
	CHECK(memcmp(secret, "\0\0\0\0\0\0", 7) == 0);
	hash_wipe(NULL, 0);
}

static void
test_metrics(void)
{
	struct buf b = BUF_INIT;

	metric_add(METRIC_DB_CONNECTS, 2);
	metric_add(METRIC_DB_CONNECTS, 1);
	metric_set(METRIC_DB_UP, 1);
	CHECK(metric_get(METRIC_DB_CONNECTS) == 3);
	metric_render(&b, METRIC_GROUP_DB);
	CHECK(strstr(b.data, "# HELP voip_database_up 1 while the database "
			     "connection works.\n"
			     "# TYPE voip_database_up gauge\n"
			     "voip_database_up 1\n") == b.data);
	CHECK(strstr(b.data, "\n# TYPE voip_database_connects_total counter\n"
			     "voip_database_connects_total 3\n") != NULL);
	CHECK(strstr(b.data, "voip_http") == NULL);
	buf_release(&b);
}

/* Prometheus refuses a page that describes a name twice. */
static void
test_metric_names(void)
{
	struct buf b = BUF_INIT, types = BUF_INIT;

	metric_render(&b, ~0u);
	for (char *line = b.data, *next; *line; line = next) {
		next = strchr(line, '\n') + 1;
		if (strncmp(line, "# TYPE ", 7) != 0)
			continue;
		buf_clear(&types);
		buf_printf(&types, "%.*s ", (int)strcspn(line + 7, " ") + 7,
			   line);
		CHECK(strstr(b.data, types.data) == line);
		CHECK(strstr(next, types.data) == NULL);
	}
	CHECK(!buf_failed(&b) && types.len > 0);
	buf_release(&b);
	buf_release(&types);
}

static void
test_errors(void)
{
	struct verr e = VERR_INIT;
	char long_text[3000];

	CHECK(verr_exit(&e) == 0 && verr_http(&e) == 200);
	errno = ENOSPC;
	CHECK(verr_sys(&e, VERR_RETRY, "cannot write '%s'", "x") == -1);
	CHECK_STR(e.msg, "cannot write 'x': No space left on device");
	CHECK(verr_wrap(&e, "cannot flush %s", "spool") == -1);
	CHECK_STR(e.msg, "cannot flush spool: cannot write 'x': "
			 "No space left on device");
	CHECK(verr_exit(&e) == 75 && verr_http(&e) == 503);
	CHECK(verr_add(&e, "\nhint: %s", "wait") == -1);
	CHECK(strstr(e.msg, "device\nhint: wait") != NULL);
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	verr_set(&e, VERR_BUG, "%s", long_text);
	CHECK(strlen(e.msg) == sizeof(e.msg) - 1);
	verr_wrap(&e, "%s", long_text);
	verr_sys(&e, VERR_BUG, "%s", long_text);
	CHECK(strlen(e.msg) < sizeof(e.msg) && verr_exit(&e) == 70);
}

int
main(void)
{
	test_digests();
	test_secrets();
	test_metrics();
	test_metric_names();
	test_errors();
	return unit_end();
}
