/*
 * pattern: the numbers that a pattern stands for, to compare two of them.
 *
 * Layer text.  The language is voip.is_pattern()'s: X is 0-9, Z 1-9, N 2-9,
 * [15-7] one of these digits, '.' one or more digits at the end, everything
 * else itself.  A plain number is a pattern too.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define PATTERN_PLACES 64

struct pattern {
	/* Bits of the characters of "0123456789*#+" that may stand there. */
	unsigned short places[PATTERN_PLACES];
	size_t n;
	bool more; /* one or more digits follow */
};

/* False when it is no pattern. */
bool pattern_parse(struct pattern *p, const char *text);
/* Every number of `inner` is one of `outer`. */
bool pattern_covers(const struct pattern *outer, const struct pattern *inner);
/*
 * Why a number, itself parsed as a pattern, just misses: "wants 10 digits, 9
 * were dialled".  False when it matches or is nowhere near.
 */
bool pattern_near(const struct pattern *p, const struct pattern *number,
		  struct buf *why);

#endif
