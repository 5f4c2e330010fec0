/*
 * httphead: the bytes of an HTTP/1.1 request, taken apart (RFC 9112).
 *
 * Layer text; no I/O and no memory of its own.  Strict, so that nobody can
 * write a request that two readers understand in two ways: lines end with CR
 * LF, a name stands before its colon without a blank, nothing is folded, Host
 * is there once, no control character is in the target or in a value.  Whether
 * the framing of the body is understood is the caller's to judge (`lengths`,
 * `encodings`), who has to answer on it.
 *
 * Bytes come in pieces: http_head_scan() with all that there is so far, until
 * the head is complete, then http_head_parse() once, which writes NULs between
 * the parts.
 */
#ifndef HTTPHEAD_H
#define HTTPHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define HTTP_LINE_MAX   (64 * 1024) /* of the request line */
#define HTTP_FIELDS_MAX (64 * 1024) /* of all that follows in the head */

/* Where scanning stopped; zeroed for each request. */
struct http_scan {
	size_t at;     /* everything before was looked at */
	size_t line;   /* where the present line begins */
	size_t fields; /* where the request line ended; 0: not yet */
	size_t start;  /* of the request line, behind empty lines */
};

struct http_fault {
	int status;
	const char *why; /* a constant */
};

/*
 * The length of the head once it is complete, 0 before, -1 with `fault` when it
 * never can be.
 */
long http_head_scan(struct http_scan *s, const char *data, size_t len,
		    struct http_fault *fault);

/* Strings are in the bytes of the head. */
struct http_head {
	const char *method;
	char *target;
	size_t target_len;
	bool close;    /* no request follows */
	bool expects;  /* 100-continue */
	int lengths;   /* how many Content-Length */
	int encodings; /* how many Transfer-Encoding */
	bool chunked;
	bool bad_length;
	uint64_t length;
	const char *authorization; /* or NULL */
	const char *content_type;  /* or NULL */
};

/* False with `fault`. */
bool http_head_parse(struct http_head *h, const struct http_scan *s, char *data,
		     size_t len, struct http_fault *fault);

/* A body in chunks; zeroed at its beginning. */
struct http_chunks {
	int state;
	unsigned digits;
	uint64_t left;
	size_t extra; /* of extensions and trailers, which nobody reads */
};

/*
 * Takes what is there: `used` of `len` bytes.  What they hold is appended to
 * `out` (NULL: dropped) and counted in `taken`, until that exceeds `limit`.
 * 1 at the end of the body, 0 before, -1 when it is malformed.
 */
int
http_chunks_take(struct http_chunks *c, const char *data, size_t len,
		 size_t *used, struct buf *out, size_t *taken, size_t limit);

#endif
