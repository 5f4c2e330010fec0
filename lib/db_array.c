/*
 * Binary arrays (PostgreSQL's array_recv): number of dimensions, flags, element
 * type, then length and lower bound of the one dimension, then the elements,
 * each with its length.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "db.h"

/* Offsets in the header of five 32-bit numbers. */
enum { NDIM = 0, FLAGS = 4, LENGTH = 12, HEADER = 20 };

/* src/include/catalog/pg_type.dat */
static const uint32_t oids[] = {
	[DB_ARRAY_BYTEA] = 17,
	[DB_ARRAY_TEXT] = 25,
	[DB_ARRAY_INT8] = 20,
};

static void
put32(struct buf *b, uint32_t n)
{
	n = htonl(n);
	buf_add(b, &n, sizeof(n));
}

static uint32_t
get32(const struct buf *b, size_t at)
{
	uint32_t n;

	memcpy(&n, b->data + at, sizeof(n));
	return ntohl(n);
}

static void
set32(struct buf *b, size_t at, uint32_t n)
{
	n = htonl(n);
	memcpy(b->data + at, &n, sizeof(n));
}

void
db_array_begin(struct buf *b, enum db_array_type type)
{
	put32(b, 1);
	put32(b, 0);
	put32(b, oids[type]);
	put32(b, 0);
	put32(b, 1);
}

static void
count_one(struct buf *b)
{
	if (!buf_failed(b))
		set32(b, LENGTH, get32(b, LENGTH) + 1);
}

void
db_array_add(struct buf *b, const void *data, size_t len)
{
	if (len > INT32_MAX) {
		b->failed = true;
		return;
	}
	put32(b, (uint32_t)len);
	buf_add(b, data, len);
	count_one(b);
}

void
db_array_add_int8(struct buf *b, int64_t value)
{
	uint64_t n = htobe64((uint64_t)value);

	db_array_add(b, &n, sizeof(n));
}

void
db_array_add_null(struct buf *b)
{
	put32(b, UINT32_MAX);
	count_one(b);
	if (!buf_failed(b))
		set32(b, FLAGS, 1);
}

void
db_array_end(struct buf *b)
{
	/* An empty array has no dimension. */
	if (!buf_failed(b) && get32(b, LENGTH) == 0) {
		set32(b, NDIM, 0);
		b->len = LENGTH;
	}
}
