/* pattern: what one covers of another, and what just misses. */

#include "unit.h"

#include "pattern.h"

static const struct {
	const char *outer, *inner;
	bool covers;
} pairs[] = {
	{ "X", "5", true },
	{ "5", "X", false },
	{ "XXX", "NXX", true },
	{ "NXX", "XXX", false },
	{ "[2-9]XX", "NXX", true },
	{ "NXX", "[2-9]XX", true },
	{ "XX", "XXX", false },
	{ "0.", "0XXXXXXXXX", true },
	{ "0.", "0", false },
	{ "0.", "0.", true },
	{ "00.", "0.", false },
	{ "0.", "00.", true },
	{ "0XX", "0.", false },
	/* '.' is one digit at least, and X. then two */
	{ "X.", "XX", true },
	{ "X.", "X", false },
	{ "X.", "X*", false },
	{ "X.", "XX.", true },
	{ "XX.", "X.", false },
	{ "+49.", "+4912", true },
	{ "49.", "+4912", false },
	{ "[15-7]", "[56]", true },
	{ "[15-7]", "[16-8]", false },
	{ "*1X", "*12", true },
	{ "#", "*", false },
};

static void
test_covers(void)
{
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct pattern outer, inner;

		CHECK(pattern_parse(&outer, pairs[i].outer));
		CHECK(pattern_parse(&inner, pairs[i].inner));
		if (pattern_covers(&outer, &inner) != pairs[i].covers) {
			printf("%s and %s\n", pairs[i].outer, pairs[i].inner);
			CHECK(false);
		}
	}
}

static const struct {
	const char *pattern, *number, *why; /* NULL: no near miss */
} misses[] = {
	{ "0XXXXXXXXX", "091234567", "wants 10 digits, 9 were dialled" },
	{ "0XX", "01234", "wants 3 digits, 5 were dialled" },
	{ "00XX.", "0012", "wants 5 or more digits, 4 were dialled" },
	{ "0NXX", "0134", "wants one of 23456789 as digit 2, not 1" },
	{ "00X.", "0912", "wants one of 0 as digit 2, not 9" },
	{ "0NXX", "0234", NULL },
	{ "0NXX", "1134", NULL },
	{ "0.", "0912", NULL },
	{ "X", "12", NULL },
};

static void
test_near(void)
{
	for (size_t i = 0; i < COUNT(misses); i++) {
		struct pattern p, number;
		struct buf why = BUF_INIT;
		bool near;

		CHECK(pattern_parse(&p, misses[i].pattern));
		CHECK(pattern_parse(&number, misses[i].number));
		near = pattern_near(&p, &number, &why);
		CHECK(near == (misses[i].why != NULL));
		if (near && misses[i].why)
			CHECK_STR(why.data, misses[i].why);
		buf_release(&why);
	}
}

static void
test_refused(void)
{
	static const char *const wrong[] = {
		"", ".", "A", "[", "[]", "[7-5]", "[1", "1.2", "[1-", "[a]",
	};
	char many[80];
	struct pattern p;

	for (size_t i = 0; i < COUNT(wrong); i++)
		CHECK(!pattern_parse(&p, wrong[i]));
	memset(many, '1', sizeof(many));
	many[PATTERN_PLACES + 1] = '\0';
	CHECK(!pattern_parse(&p, many));
	many[PATTERN_PLACES] = '\0';
	CHECK(pattern_parse(&p, many));
}

int
main(void)
{
	test_covers();
	test_near();
	test_refused();
	return unit_end();
}
