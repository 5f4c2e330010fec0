/* account: known digests, and secrets that are not the same twice. */

#include "unit.h"

#include "account.h"

static void
test_hash(void)
{
	struct verr e = VERR_INIT;
	struct account a;

	CHECK(account_hash(&a, "1001", "pbx.example.com", "geheim", &e) == 0);
	CHECK_STR(a.ha1, "42638121fe3ab5eead0931ce94a6101e");
	CHECK_STR(a.ha1b, "2b4a0b856c383e9b4ee6a24379ff08ec");
	CHECK_STR(a.ha1_sha256, "ef82030d03a7683ba7635f05e66b341d"
				"ecbae5021f3c65bcbbecdacd5cb8b47c");
	/* RFC 2617 section 3.5, with the corrected password. */
	CHECK(account_hash(&a, "Mufasa", "testrealm@host.com", "Circle Of Life",
			   &e) == 0);
	CHECK_STR(a.ha1, "939e7578ed9e3c518a452acee763bce9");
}

static void
test_random(void)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789-_";
	char a[ACCOUNT_SECRET], b[ACCOUNT_SECRET];
	struct verr e = VERR_INIT;

	CHECK(account_random(a, &e) == 0);
	CHECK(account_random(b, &e) == 0);
	CHECK(strlen(a) == ACCOUNT_SECRET - 1);
	CHECK(strspn(a, alphabet) == strlen(a));
	CHECK(strcmp(a, b) != 0);
}

static void
without_memory(bool may_fail)
{
	char secret[ACCOUNT_SECRET];
	struct verr e = VERR_INIT;
	struct account a;
	int rc = account_hash(&a, "1001", "pbx.example.com", "x", &e);

	CHECK(rc == 0 || (may_fail && e.kind == VERR_RETRY));
	e = (struct verr)VERR_INIT;
	rc = account_random(secret, &e);
	CHECK(rc == 0 || (may_fail && e.kind == VERR_RETRY));
}

int
main(void)
{
	test_hash();
	test_random();
	CHECK(unit_each_failure(without_memory) > 0);
	return unit_end();
}
