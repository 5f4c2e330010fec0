/* utf8: RFC 3629's limits, repair, what is shown, widths. */

#include "unit.h"

#include "utf8.h"

static const struct {
	const char *s;
	size_t len;
	bool valid;
	const char *repaired;
} testv[] = {
	{ "", 0, true, "" },
	{ "plain", 5, true, "plain" },
	{ "sixteen bytes or more", 21, true, "sixteen bytes or more" },
	{ "1234567\xe9", 8, false, "1234567\xc3\xa9" },
	{ "12345678\xe9", 9, false, "12345678\xc3\xa9" },
	{ "Andr\xe9", 5, false, "Andr\xc3\xa9" },
	{ "Andr\xc3\xa9", 6, true, "Andr\xc3\xa9" },
	{ "\xc2\x80", 2, true, "\xc2\x80" },
	{ "\xc1\xbf", 2, false, "\xc3\x81\xc2\xbf" },
	{ "\xc0\x80", 2, false, "\xc3\x80\xc2\x80" },
	{ "\xdf\xbf", 2, true, "\xdf\xbf" },
	{ "\xe0\x9f\xbf", 3, false, "\xc3\xa0\xc2\x9f\xc2\xbf" },
	{ "\xe0\xa0\x80", 3, true, "\xe0\xa0\x80" },
	{ "\xed\x9f\xbf", 3, true, "\xed\x9f\xbf" },
	{ "\xed\xa0\x80", 3, false, "\xc3\xad\xc2\xa0\xc2\x80" },
	{ "\xef\xbf\xbf", 3, true, "\xef\xbf\xbf" },
	{ "\xf0\x8f\xbf\xbf", 4, false, "\xc3\xb0\xc2\x8f\xc2\xbf\xc2\xbf" },
	{ "\xf0\x90\x80\x80", 4, true, "\xf0\x90\x80\x80" },
	{ "\xf4\x8f\xbf\xbf", 4, true, "\xf4\x8f\xbf\xbf" },
	{ "\xf4\x90\x80\x80", 4, false, "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80" },
	{ "\xf5\x80\x80\x80", 4, false, "\xc3\xb5\xc2\x80\xc2\x80\xc2\x80" },
	{ "\xe2\x82", 2, false, "\xc3\xa2\xc2\x82" },
	{ "\xe2\x82\xac", 3, true, "\xe2\x82\xac" },
	{ "\xe2\x28\xa1", 3, false, "\xc3\xa2(\xc2\xa1" },
	{ "\xf0\x9f\x98", 3, false, "\xc3\xb0\xc2\x9f\xc2\x98" },
	{ "\x80", 1, false, "\xc2\x80" },
	{ "\xff\xfe", 2, false, "\xc3\xbf\xc3\xbe" },
	{ "a\xc3", 2, false, "a\xc3\x83" },
};

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		struct buf b = BUF_INIT;
		bool changed = utf8_repair(&b, testv[i].s, testv[i].len);

		if (!CHECK(utf8_valid(testv[i].s, testv[i].len) ==
			   testv[i].valid) ||
		    !CHECK(changed == !testv[i].valid) ||
		    !CHECK_STR(b.data, testv[i].repaired) ||
		    !CHECK(utf8_valid(b.data, b.len)))
			printf("  in row %zu\n", i);
		buf_release(&b);
	}
}

/* Each byte alone, after ASCII of each length, so that no word is skipped. */
static void
test_every_byte(void)
{
	for (unsigned c = 0; c < 256; c++) {
		for (size_t before = 0; before < 20; before++) {
			char s[32];

			memset(s, 'a', sizeof(s));
			s[before] = (char)c;
			if (!CHECK(utf8_valid(s, 32) == (c < 0x80)))
				printf("  byte %u after %zu\n", c, before);
		}
	}
}

static void
test_nul(void)
{
	struct buf b = BUF_INIT;

	CHECK(utf8_valid("a\0b", 3));
	CHECK(utf8_repair(&b, "a\0b", 3));
	CHECK_STR(b.data, "a\xef\xbf\xbd"
			  "b");
	buf_release(&b);
}

static void
test_escape(void)
{
	static const struct {
		const char *s;
		const char *want;
	} v[] = {
		{ "Andr\xc3\xa9 \xe2\x82\xac", "Andr\xc3\xa9 \xe2\x82\xac" },
		{ "a\nb\tc\x1b[2J\x7f", "a\\x0ab\\x09c\\x1b[2J\\x7f" },
		{ "\xe9", "\\xe9" },
		{ "\xc2\x9b", "\\xc2\\x9b" },
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
		{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
	};

	for (size_t i = 0; i < COUNT(v); i++) {
		struct buf b = BUF_INIT;

		utf8_escape(&b, v[i].s, strlen(v[i].s));
		CHECK_STR(b.data, v[i].want);
		buf_release(&b);
	}
}

static void
test_json(void)
{
	struct buf b = BUF_INIT;
	static const char s[] = "\"\\\b\f\n\r\t\x01\x7f/\0\xe9\xc3\xa9";

	utf8_json(&b, s, sizeof(s) - 1);
	CHECK_STR(b.data, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u007f/"
			  "\xef\xbf\xbd\xc3\xa9\xc3\xa9\"");
	buf_release(&b);
	utf8_json(&b, "", 0);
	CHECK_STR(b.data, "\"\"");
	buf_release(&b);
}

static void
test_width(void)
{
	static const struct {
		const char *s;
		size_t width;
	} v[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "Andr\xc3\xa9", 5 },
		{ "e\xcc\x81", 1 },
		{ "\xe6\x97\xa5\xe6\x9c\xac", 4 },
		{ "\xf0\x9f\x93\x9e", 2 },
	};

	for (size_t i = 0; i < COUNT(v); i++)
		CHECK(utf8_width(v[i].s, strlen(v[i].s)) == v[i].width);
}

static void
repair_a_lot(bool may_fail)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 50; i++) {
		utf8_repair(&b, "caf\xe9 \0 caf\xc3\xa9", 12);
		utf8_escape(&b, "\xe9\x1b", 2);
		utf8_json(&b, "\x01\xe9", 2);
	}
	CHECK(may_fail || !buf_failed(&b));
	buf_release(&b);
}

static void
test_trim(void)
{
	static const struct {
		const char *cut, *whole;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "Andr\xc3", "Andr" },
		{ "Andr\xc3\xa9", "Andr\xc3\xa9" },
		{ "\xe2\x82", "" },
		{ "1\xe2\x82\xac", "1\xe2\x82\xac" },
		{ "1\xf0\x9f\x98", "1" },
		{ "1\xf0\x9f\x98\x80", "1\xf0\x9f\x98\x80" },
		{ "\xf0", "" },
	};
	char text[16];

	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%s", rows[i].cut);
		utf8_trim(text);
		CHECK_STR(text, rows[i].whole);
	}
}

int
main(void)
{
	test_table();
	test_every_byte();
	test_nul();
	test_escape();
	test_json();
	test_width();
	test_trim();
	CHECK(unit_each_failure(repair_a_lot) > 3);
	return unit_end();
}
