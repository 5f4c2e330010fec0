/*
 * form: application/x-www-form-urlencoded, as FreeSWITCH writes it.
 *
 * Layer text.  Pairs keep their order and their repetitions, because the
 * reader decides which occurrence counts (FREESWITCH: the first five fields
 * are not encoded and come first; see lookup.h).  `%XX` in any case and `+`
 * are decoded; a broken escape stays as it is.  Values may hold any byte,
 * NUL too.
 */
#ifndef FORM_H
#define FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

struct form_pair {
	const char *name; /* NUL-terminated */
	const char *value;
	size_t name_len;
	size_t value_len;
};

struct form {
	struct form_pair *pairs;
	size_t count;
	char *storage;
};

/* At most `max_pairs` pairs, else VERR_INPUT. */
int form_parse(struct form *f, const char *data, size_t len, size_t max_pairs,
	       struct verr *e);
void form_release(struct form *f);

/* Borrowed until form_release(); NULL when there is none. */
const struct form_pair *form_first(const struct form *f, const char *name);
const struct form_pair *form_last(const struct form *f, const char *name);

/* Percent-decode; `plus` turns + into a space. */
void form_decode(struct buf *out, const char *s, size_t len, bool plus);
/* Percent-encode all but the unreserved characters of RFC 3986. */
void form_encode(struct buf *out, const char *s, size_t len);

#endif
