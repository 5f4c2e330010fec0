/* buf: appends, limits, and what a failed allocation leaves. */

#include "unit.h"

#include <stdint.h>
#include <stdlib.h>

#include "buf.h"

static void
test_empty(void)
{
	struct buf zeroed = { 0 }, b = BUF_INIT;

	CHECK_STR(b.data, "");
	buf_add(&b, "", 0);
	CHECK(b.len == 0 && !buf_failed(&b));
	buf_release(&b);
	CHECK_STR(b.data, "");
	buf_clear(&zeroed);
	CHECK_STR(zeroed.data, "");
	buf_puts(&zeroed, "x");
	CHECK_STR(zeroed.data, "x");
	buf_release(&zeroed);
}

static void
test_append(void)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 1000; i++) {
		buf_putc(&b, 'a');
		buf_puts(&b, "bc");
		buf_add(&b, "\0d", 2);
		buf_printf(&b, "%03d", i);
	}
	CHECK(b.len == 8000 && b.size > b.len);
	CHECK(memcmp(b.data + 7992, "abc\0d999", 9) == 0);
	CHECK(b.data[b.len] == '\0');
	buf_release(&b);
}

static void
test_printf_at_each_room(void)
{
	struct buf b = BUF_INIT;
	char want[300];

	for (int len = 0; len < 300; len++) {
		memset(want, 'x', sizeof(want));
		want[len < 299 ? len : 299] = '\0';
		buf_release(&b);
		buf_puts(&b, "<");
		buf_printf(&b, "%s", want);
		CHECK_STR(b.data + 1, want);
	}
	buf_release(&b);
}

static void
test_skip_and_detach(void)
{
	struct buf b = BUF_INIT;
	char *s;

	buf_skip(&b, 10);
	buf_puts(&b, "hello world");
	buf_skip(&b, 6);
	CHECK_STR(b.data, "world");
	buf_skip(&b, 100);
	CHECK_STR(b.data, "");
	buf_puts(&b, "kept");
	s = buf_detach(&b);
	CHECK_STR(s, "kept");
	CHECK(b.len == 0 && b.size == 0);
	free(s);
	s = buf_detach(&b);
	CHECK_STR(s, "");
	free(s);
}

static void
test_too_large(void)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "before");
	CHECK(!buf_reserve(&b, SIZE_MAX - 2));
	CHECK(buf_failed(&b));
	buf_puts(&b, "after");
	CHECK_STR(b.data, "before");
	CHECK(buf_detach(&b) == NULL);
	CHECK(!buf_failed(&b) && b.len == 0);
}

static void
write_a_lot(bool may_fail)
{
	struct buf b = BUF_INIT;
	size_t len;

	for (int i = 0; i < 200; i++) {
		len = b.len;
		buf_printf(&b, "%d,%s", i, "some words of text");
		buf_putc(&b, '\n');
		if (buf_failed(&b))
			break;
	}
	if (buf_failed(&b)) {
		CHECK(may_fail);
		CHECK(b.len >= len && b.data[b.len] == '\0');
		len = b.len;
		buf_add(&b, "more", 4);
		CHECK(b.len == len);
		buf_clear(&b);
		buf_puts(&b, "again");
		CHECK_STR(b.data, "again");
	}
	buf_release(&b);
}

int
main(void)
{
	test_empty();
	test_append();
	test_printf_at_each_room();
	test_skip_and_detach();
	test_too_large();
	CHECK(unit_each_failure(write_a_lot) > 3);
	return unit_end();
}
