/*
 * buf: a growing byte string.
 *
 * Layer base.  A zeroed `struct buf` is an empty one; buf_release() makes it
 * empty again and frees its memory.  `data` is always followed by a NUL that
 * `len` does not count, so it can be used as a C string when it holds no NUL
 * itself; in an empty, never used buf it points to a constant "".
 *
 * Memory: a function that cannot get memory sets `failed` and leaves the
 * contents as they were; later calls do nothing.  So a writer makes all its
 * calls and tests buf_failed() once at the end.
 */
#ifndef BUF_H
#define BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t size; /* bytes allocated; 0 while data is the constant */
	bool failed;
};

extern char buf_empty[]; /* the constant "" */

#define BUF_INIT ((struct buf){ .data = buf_empty })

void buf_release(struct buf *b);

/* Forget the contents and the failure, keep the memory. */
void buf_clear(struct buf *b);

/* Make room for `extra` more bytes; false when there is no memory. */
bool buf_reserve(struct buf *b, size_t extra);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

/* Drop the first `len` bytes. */
void buf_skip(struct buf *b, size_t len);

static inline bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

/*
 * The contents as a heap string; `b` is empty afterwards.  NULL when a call
 * before it failed.  The caller frees it with free().
 */
char *buf_detach(struct buf *b);

#endif
