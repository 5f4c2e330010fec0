/*
 * utf8: validity, repair, and text that is safe to show.
 *
 * Layer base.  FreeSWITCH hands bytes through that phones sent: Latin-1 names,
 * cut sequences, NULs.  Columns and documents hold UTF-8 only (RFC 3629: no
 * surrogates, no overlong forms, U+10FFFF at most).
 */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* The length of the valid sequence at s (1 to 4), or 0. */
size_t utf8_sequence(const char *s, size_t len);
bool utf8_valid(const char *s, size_t len);
/* A text that was cut may end with part of a character: that goes. */
void utf8_trim(char *s);

/*
 * Append s to `b`; each invalid byte becomes the Latin-1 character of that
 * value (phones that do not speak UTF-8 speak Latin-1), NUL becomes U+FFFD.
 * Returns true when something was repaired.
 */
bool utf8_repair(struct buf *b, const char *s, size_t len);

/*
 * Append s for a person's eyes: what is invalid, or could move the cursor or
 * turn the direction of writing, appears as \xHH per byte.
 */
void utf8_escape(struct buf *b, const char *s, size_t len);

/* Append s as a JSON string with its quotes, repaired where invalid. */
void utf8_json(struct buf *b, const char *s, size_t len);

/* Columns that valid text takes on a terminal. */
size_t utf8_width(const char *s, size_t len);

#endif
