/*
 * jsonmember: members of a JSON object, written as text and read from a tree.
 *
 * Layer text.  What is written begins with a comma: it is not the first member
 * of its object.  Names are our own words, values any bytes.
 */
#ifndef JSONMEMBER_H
#define JSONMEMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* NULL: nothing is written. */
void jsonmember_add_string(struct buf *b, const char *name, const char *value);
void jsonmember_add_truth(struct buf *b, const char *name, bool value);
/* Negative: null, it is not known. */
void jsonmember_add_number(struct buf *b, const char *name, int64_t value);

/* Cut to `size`; "" when there is none, or it is no string. */
void jsonmember_take_string(char *to, size_t size, const json_t *object,
			    const char *name);

#endif
