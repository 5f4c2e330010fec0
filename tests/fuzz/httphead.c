/*
 * httphead: a request says the same however it is cut into pieces, its parts
 * are clean, and no chunk holds more than was there.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "httphead.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	long len;
	struct http_fault fault;
	struct http_scan scan;
};

static struct outcome
scan(const char *text, size_t size, size_t step)
{
	struct outcome o = { 0 };
	size_t have = 0;

	while (o.len == 0 && have < size) {
		have += step < size - have ? step : size - have;
		o.len = http_head_scan(&o.scan, text, have, &o.fault);
	}
	return o;
}

static void
check_text(const char *s)
{
	for (; s && *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			abort();
}

static size_t
read_chunks(struct buf *out, const char *text, size_t size, size_t step,
	    int *end)
{
	struct http_chunks chunks = { 0 };
	size_t at = 0, used, taken = 0;

	*end = 0;
	while (*end == 0 && at < size && taken <= 4096) {
		size_t n = step < size - at ? step : size - at;

		*end = http_chunks_take(&chunks, text + at, n, &used, out,
					&taken, 4096);
		if (used > n || (*end == 0 && taken <= 4096 && used != n))
			abort();
		at += used;
	}
	if (taken <= 4096 ? taken != out->len : out->len > 4096)
		abort();
	return at;
}

static void
check_chunks(const char *text, size_t size)
{
	struct buf whole = BUF_INIT, parts = BUF_INIT;
	int a, b;
	size_t at = read_chunks(&whole, text, size, size, &a);

	if (whole.len > size)
		abort();
	if (a != 0 && (read_chunks(&parts, text, size, 3, &b) != at || a != b))
		abort();
	buf_release(&whole);
	buf_release(&parts);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct outcome whole, bytes;
	struct http_head h;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	whole = scan(text, size, size);
	bytes = scan(text, size, 1);
	if (whole.len != bytes.len ||
	    (whole.len == -1 && whole.fault.status != bytes.fault.status))
		abort();
	check_chunks(text, size);
	if (whole.len > 0 && http_head_parse(&h, &whole.scan, text,
					     (size_t)whole.len, &whole.fault)) {
		if (!*h.method || !h.target_len ||
		    strlen(h.target) != h.target_len || strchr(h.target, ' '))
			abort();
		check_text(h.target);
		check_text(h.authorization);
		check_text(h.content_type);
	} else if (whole.len != 0 && whole.fault.status < 400) {
		abort();
	}
	free(text);
	return 0;
}
