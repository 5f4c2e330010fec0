/*
 * bulkfile: the records of a file, one by one.
 *
 * Layer text.  A record is a line, or a record of CSV, which may be of several.
 * A byte order mark at the start, CR before LF and empty lines are passed over.
 * What cannot be text (too long, a NUL, no UTF-8) is a record with a `problem`,
 * so that it can be named like any other.  Memory does not grow with the file.
 *
 *	struct bulk_file f;
 *
 *	bulk_file_open(&f, path, csv, keep, e);
 *	while ((rc = bulk_file_next(&f, &record, e)) == 1)
 *		...
 *	bulk_file_release(&f);
 */
#ifndef BULKFILE_H
#define BULKFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

#define BULK_RECORD_MAX (1 << 20) /* bytes */
/* What has no end by then is no text, such as /dev/zero: an error. */
#define BULK_RECORD_END (64 << 20)

struct bulk_file {
	const char *path; /* for messages */
	int fd;
	int copy; /* of what cannot be read twice, or -1 */
	bool csv;
	bool eof;
	struct buf data; /* read, from `at` on not yet used */
	size_t at;
	int64_t offset; /* of data.data[at] in the file */
	long line;      /* lines used so far */
	struct buf text;
};

struct bulk_record {
	char *text; /* without its line break; borrowed until the next call */
	size_t len;
	long line; /* its first one, from 1 */
	int64_t offset;
	size_t size; /* bytes in the file */
	const char *problem;
};

/* "-" is standard input.  With `keep` bulk_file_fetch() works for it too. */
int bulk_file_open(struct bulk_file *f, const char *path, bool csv, bool keep,
		   struct verr *e);
/* 1, 0 at the end, or -1. */
int bulk_file_next(struct bulk_file *f, struct bulk_record *r, struct verr *e);
/* Append the bytes of a record once more. */
int bulk_file_fetch(struct bulk_file *f, int64_t offset, size_t size,
		    struct buf *out, struct verr *e);
/* NULL-safe for what is zeroed. */
void bulk_file_release(struct bulk_file *f);

#endif
