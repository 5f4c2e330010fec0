/*
 * out: rows for people and for pipes.
 *
 * Layer text.  A table of columns is declared once; each row is then printed
 * as an aligned table (default on a terminal and elsewhere for people), tsv,
 * csv, json (one array) or jsonl.  tsv escapes tab, newline, CR and backslash
 * as \t \n \r \\ and has a header line; csv is RFC 4180 with a header line;
 * json types follow the column.  In tables control bytes are shown as \xHH and
 * a NULL as nothing; on a terminal the head is bold unless NO_COLOR is set.
 * Any number of rows takes constant memory: a table is as wide as its first
 * thousand rows, and a later cell that is wider pushes its line to the right.
 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "buf.h"
#include "verr.h"

enum out_format {
	OUT_TABLE,
	OUT_TSV,
	OUT_CSV,
	OUT_JSON,
	OUT_JSONL,
};

enum out_type {
	OUT_TEXT,
	OUT_NUMBER,   /* text that is a JSON number; right-aligned */
	OUT_BOOL,     /* "t"/"true" or "f"/"false" */
	OUT_RAW,      /* text that is JSON already; shown as it is */
	OUT_SEVERITY, /* text; on a terminal "error" and "failed" are red,
		       * "warning" is yellow, "ok" green */
};

struct out_column {
	const char *name;
	enum out_type type;
};

/* The format named by --format, or OUT_TABLE; an unknown word is USAGE. */
int out_format_from_options(enum out_format *format, struct verr *e);

struct out;

/* `columns` is borrowed until out_end().  NULL: no memory, in `e`. */
struct out *
out_begin(FILE *file, enum out_format format, const struct out_column *columns,
	  size_t n, struct verr *e);
/* `values` has n entries; NULL is null. */
void out_row(struct out *o, const char *const *values);
/* Whether writing has failed: what more is given goes nowhere. */
bool out_failed(const struct out *o);
/* Prints what is pending and frees `o` (NULL-safe), also on error. */
int out_end(struct out *o, struct verr *e);

/*
 * A line of text for people on standard output; on a terminal '+' is green, '-'
 * red and '~' yellow, and what could move the cursor is escaped everywhere.
 */
void out_line(char sign, const char *text);

/* A string as a JSON string with its quotes; invalid UTF-8 is repaired. */
void out_json_string(struct buf *b, const char *s, size_t len);

/* A field of tsv, escaped. */
void out_tsv_string(struct buf *b, const char *s);

/* Text that is whole already, to standard output. */
int out_verbatim(const char *text, size_t len, struct verr *e);

/*
 * fwrite() and fflush() that keep the reason: a full disk is met by whatever
 * fills the buffer, and the flush at the end fails without one.  False with
 * errno set when anything was lost.
 */
void out_write(FILE *file, const char *data, size_t len);
bool out_flush(FILE *file);

/* True when `file` is a terminal and NO_COLOR is not set. */
bool out_is_terminal(FILE *file);

#endif
