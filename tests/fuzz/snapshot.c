/*
 * A file in the place of the snapshot.  Its checksums are mended first when it
 * begins right, so that what stands behind them is reached: what is refused is
 * refused as a whole, and what is taken can be put into a cache.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "depends.h"
#include "log.h"
#include "siphash.h"
#include "snapshotfile.h"

#define HEAD 32 /* bytes of a record's head */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put(const struct cache_item *item, void *arg)
{
	struct cache_item mine = *item;

	depends_restored(&mine);
	cache_put(arg, 0, &mine);
}

static uint32_t
number(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

/* As chain_begin() and chain_next() of snapshotfile.c. */
static void
mend(uint8_t *data, size_t size)
{
	struct siphash_key first = { { 0, 1 } }, chain = { { 0, 0 } };
	size_t at = strlen(SNAPSHOT_MAGIC), len;
	uint64_t sum;

	chain.k[1] = siphash(&first, VERSION, strlen(VERSION));
	while (at + HEAD + sizeof(sum) <= size) {
		len = HEAD;
		if (number(data + at))
			len += (size_t)number(data + at) +
			       number(data + at + 4) + number(data + at + 8);
		if (len > size - at || size - at - len < sizeof(sum))
			return;
		sum = siphash(&chain, data + at, len);
		chain.k[0] = sum;
		for (size_t i = 0; i < sizeof(sum); i++)
			data[at + len + i] = (uint8_t)(sum >> 8 * i);
		at += len + sizeof(sum);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verr e = VERR_INIT;
	struct cache *cache = cache_new(1 << 20, &e);
	uint8_t *copy = malloc(size + 1);

	if (!cache || !copy)
		abort();
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
	memcpy(copy, data, size);
	for (int mended = 0; mended < 2; mended++) {
		if (snapshotfile_parse(copy, size, put, cache, &e) == -1 &&
		    e.kind != VERR_INPUT)
			abort();
		mend(copy, size);
	}
	free(copy);
	cache_free(cache);
	return 0;
}
