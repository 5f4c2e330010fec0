/* httphead: what is a request, what is none, and chunks. */

#include "unit.h"

#include <stdlib.h>

#include "httphead.h"

#define H "Host: x\r\n"

static const struct {
	const char *text;
	const char *result; /* method target[ word...], or status why */
} testv[] = {
	{ "GET / HTTP/1.1\r\n" H "\r\n", "GET /" },
	{ "\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET /" },
	{ "GET / HTTP/1.0\r\n\r\n", "GET / close" },
	{ "GET /a?b=c HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n",
	  "GET /a?b=c close" },
	{ "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", "GET /" },
	{ "GET /\xc3\xbc HTTP/1.1\r\nhOST:x\r\n\r\n", "GET /\xc3\xbc" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 12\r\n\r\n",
	  "POST / length=12" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length:\t0012 \r\n\r\n",
	  "POST / length=12" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n"
	  "\r\n",
	  "POST / length=1 lengths=2" },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED\r\n\r\n",
	  "POST / chunked" },
	{ "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n",
	  "POST / encoded" },
	{ "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n"
	  "Authorization: Basic eA==\r\nContent-Type: a/b\r\n\r\n",
	  "POST / expects authorization=Basic eA== type=a/b" },
	{ "GET / HTTP/2.0\r\n" H "\r\n", "505" },
	{ "GET / HTTP/1.1\r\n\r\n", "400 a request names one Host" },
	{ "GET / HTTP/1.1\r\n" H H "\r\n", "400 a request names one Host" },
	{ "GET / HTTP/1.1\n" H "\r\n", "400 a line does not end" },
	{ "GET / HTTP/1.1\r\nHost: x\n\r\n", "400 a line does not end" },
	{ "\n", "400 a line does not end" },
	{ "GET / HTTP/1.1\r\n" H " folded\r\n\r\n", "400 a header field" },
	{ "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400 a header field" },
	{ "GET / HTTP/1.1\r\n" H "a\r\n\r\n", "400 a header field" },
	{ "GET / HTTP/1.1\r\n" H ": a\r\n\r\n", "400 a header field" },
	{ "GET / HTTP/1.1\r\n" H "a: \x01\r\n\r\n", "400 a header field" },
	{ "GET / HTTP/1.1\r\n" H "a: b\rc\r\n\r\n", "400 a header field" },
	{ "GET  / HTTP/1.1\r\n" H "\r\n", "400 the request line" },
	{ "GET / a HTTP/1.1\r\n" H "\r\n", "400 the request line" },
	{ "GET /\x01 HTTP/1.1\r\n" H "\r\n", "400 the request line" },
	{ "GET /\r\n" H "\r\n", "400 the request line" },
	{ "G(T / HTTP/1.1\r\n" H "\r\n", "400 the request line" },
	{ "GET / HTTP/1.1 \r\n" H "\r\n", "400 the request line" },
	{ "GET / http/1.1\r\n" H "\r\n", "400 the request line" },
	{ "GET / HTTP/1.x\r\n" H "\r\n", "400 the request line" },
	{ " / HTTP/1.1\r\n" H "\r\n", "400 the request line" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n",
	  "400 the length of the body is no number" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n",
	  "400 the length of the body is no number" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n",
	  "400 the length of the body is no number" },
	{ "POST / HTTP/1.1\r\n" H "Content-Length: x\r\nContent-Length: 1\r\n"
	  "\r\n",
	  "400 the length of the body is no number" },
	{ "GET / HTTP/1.1\r\n" H, "more" },
	{ "GET / HTTP/1.1", "more" },
	{ "", "more" },
};

static void
describe(struct buf *out, const struct http_head *h)
{
	buf_printf(out, "%s %.*s", h->method, (int)h->target_len, h->target);
	if (h->length)
		buf_printf(out, " length=%d", (int)h->length);
	if (h->lengths > 1)
		buf_printf(out, " lengths=%d", h->lengths);
	if (h->encodings)
		buf_puts(out, h->chunked ? " chunked" : " encoded");
	if (h->close)
		buf_puts(out, " close");
	if (h->expects)
		buf_puts(out, " expects");
	if (h->authorization)
		buf_printf(out, " authorization=%s", h->authorization);
	if (h->content_type)
		buf_printf(out, " type=%s", h->content_type);
}

/* In pieces of `step` bytes, as a network may give them. */
static void
read_head(struct buf *out, const char *text, size_t step)
{
	struct http_scan scan = { 0 };
	struct http_fault fault;
	struct http_head head;
	char *copy = strdup(text);
	size_t have = 0, len = strlen(text);
	long end = 0;

	while (copy && end == 0 && have < len) {
		have += step < len - have ? step : len - have;
		end = http_head_scan(&scan, copy, have, &fault);
	}
	if (end == 0)
		buf_puts(out, "more");
	else if (end == -1 ||
		 !http_head_parse(&head, &scan, copy, (size_t)end, &fault))
		buf_printf(out, "%d %s", fault.status, fault.why);
	else
		describe(out, &head);
	free(copy);
}

static void
test_table(void)
{
	for (size_t i = 0; i < COUNT(testv); i++) {
		for (size_t step = 1; step < 200; step += 60) {
			struct buf out = BUF_INIT;
			const char *want = testv[i].result;

			read_head(&out, testv[i].text, step);
			/* Of a fault, how it begins. */
			if (*want >= '0' && *want <= '9')
				CHECK_BYTES(out.data,
					    strnlen(out.data, strlen(want)),
					    want, strlen(want));
			else
				CHECK_STR(out.data, want);
			buf_release(&out);
		}
	}
}

static void
test_limits(void)
{
	struct http_fault fault;
	struct http_scan scan = { 0 };
	struct buf b = BUF_INIT;

	while (b.len < HTTP_LINE_MAX + 3)
		buf_putc(&b, 'x');
	CHECK(http_head_scan(&scan, b.data, HTTP_LINE_MAX + 2, &fault) == 0);
	CHECK(http_head_scan(&scan, b.data, b.len, &fault) == -1);
	CHECK(fault.status == 414);
	buf_clear(&b);
	scan = (struct http_scan){ 0 };
	buf_puts(&b, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < HTTP_FIELDS_MAX / 8; i++)
		buf_puts(&b, "a: bcd\r\n");
	CHECK(http_head_scan(&scan, b.data, b.len, &fault) == 0);
	buf_puts(&b, "a");
	CHECK(http_head_scan(&scan, b.data, b.len, &fault) == -1);
	CHECK(fault.status == 431);
	buf_release(&b);
}

static const struct {
	const char *text;
	const char *result; /* the body and what follows, or "malformed" */
} chunk_testv[] = {
	{ "0\r\n\r\n", "|" },
	{ "3\r\nabc\r\n0\r\n\r\nGET", "abc|GET" },
	{ "3;x=y\r\nabc\r\n02\r\nde\r\n0\r\n\r\n", "abcde|" },
	{ "A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest", "0123456789|rest" },
	{ "\r\n", "malformed" },
	{ "g\r\n", "malformed" },
	{ "-1\r\n", "malformed" },
	{ "0x3\r\nabc\r\n0\r\n\r\n", "malformed" },
	{ "3\nabc\r\n0\r\n\r\n", "malformed" },
	{ "3\r\nabcd\r\n0\r\n\r\n", "malformed" },
	{ "3\r\nabc\n0\r\n\r\n", "malformed" },
	{ "1000000000000000\r\n", "malformed" },
	{ "3\r\nab", "more" },
};

static void
read_chunks(struct buf *out, const char *text, size_t step)
{
	struct http_chunks chunks = { 0 };
	size_t at = 0, len = strlen(text), used, taken = 0;
	int end = 0;

	while (end == 0 && at < len) {
		end = http_chunks_take(&chunks, text + at,
				       step < len - at ? step : len - at, &used,
				       out, &taken, 1000);
		at += used;
	}
	CHECK(taken == out->len);
	if (end == 1) {
		buf_printf(out, "|%s", text + at);
		return;
	}
	buf_clear(out);
	buf_puts(out, end == -1 ? "malformed" : "more");
}

static void
test_chunks(void)
{
	for (size_t i = 0; i < COUNT(chunk_testv); i++) {
		for (size_t step = 1; step < 60; step += 19) {
			struct buf out = BUF_INIT;

			read_chunks(&out, chunk_testv[i].text, step);
			CHECK_STR(out.data, chunk_testv[i].result);
			buf_release(&out);
		}
	}
}

static void
test_chunks_have_a_limit(void)
{
	static const char text[] = "4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n";
	struct http_chunks chunks = { 0 };
	struct buf out = BUF_INIT;
	size_t used, taken = 0;

	CHECK(http_chunks_take(&chunks, text, strlen(text), &used, &out, &taken,
			       7) == 0);
	CHECK(taken == 8);
	CHECK_STR(out.data, "abcd");
	buf_release(&out);
}

int
main(void)
{
	test_table();
	test_limits();
	test_chunks();
	test_chunks_have_a_limit();
	return unit_end();
}
