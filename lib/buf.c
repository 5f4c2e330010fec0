#include "buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char buf_empty[1];

void
buf_release(struct buf *b)
{
	if (b->size)
		free(b->data);
	*b = BUF_INIT;
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->size)
		b->data[0] = '\0';
	else
		b->data = buf_empty;
}

/* Grows by half at least, so that many small appends stay cheap. */
static bool
grow(struct buf *b, size_t extra)
{
	size_t need, size;
	char *data;

	if (b->failed)
		return false;
	if (extra >= SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return false;
	}
	need = b->len + extra + 1;
	size = b->size + b->size / 2;
	if (size < need)
		size = need;
	if (size < 64)
		size = 64;
	data = realloc(b->size ? b->data : NULL, size);
	if (!data) {
		b->failed = true;
		if (!b->size)
			b->data = buf_empty;
		return false;
	}
	b->data = data;
	b->size = size;
	b->data[b->len] = '\0';
	return true;
}

bool
buf_reserve(struct buf *b, size_t extra)
{
	if (!b->failed && b->size > b->len && extra < b->size - b->len)
		return true;
	return grow(b, extra);
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	if (!buf_reserve(b, 1))
		return;
	b->data[b->len++] = c;
	b->data[b->len] = '\0';
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int n;

	if (!buf_reserve(b, 63))
		return;
	room = b->size - b->len;
	va_copy(again, ap);
	n = vsnprintf(b->data + b->len, room, fmt, again);
	va_end(again);
	if (n >= 0 && (size_t)n >= room) {
		b->data[b->len] = '\0';
		if (!buf_reserve(b, (size_t)n))
			return;
		n = vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	}
	if (n < 0) {
		b->data[b->len] = '\0';
		b->failed = true;
		return;
	}
	b->len += (size_t)n;
}

void
buf_skip(struct buf *b, size_t len)
{
	if (len > b->len)
		len = b->len;
	if (!len)
		return;
	memmove(b->data, b->data + len, b->len - len + 1);
	b->len -= len;
}

char *
buf_detach(struct buf *b)
{
	char *data = NULL;

	if (buf_reserve(b, 0)) {
		data = b->data;
		*b = BUF_INIT;
	} else {
		buf_release(b);
	}
	return data;
}
