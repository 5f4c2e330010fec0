/*
 * fsxml: documents that FreeSWITCH reads.
 *
 * Layer domain.  FreeSWITCH sends what we answer through the pre-processor of
 * its configuration files before it parses it, line by line: a line with `<?`
 * or `<include>` is dropped, `$${name}` is replaced, and a line with the word
 * X-PRE-PROCESS in any case is dropped, or obeyed (it can run commands).  So
 * beside XML's own rules: each element has a line of its own, the declaration
 * too; in data `$` is written as `&#36;`, and the first `-` of that word as
 * `&#45;`.  FreeSWITCH's parser gives back exactly the bytes that were put in,
 * with two exceptions: bytes that are not UTF-8 are read as Latin-1 (utf8.h),
 * and what XML cannot hold becomes U+FFFD.
 *
 * This is a writer of its own because libxml2's leaves `$` and `-` alone, and
 * puts no newlines where they are needed without indentation all over; tests
 * hold it against libxml2's parser and a model of the pre-processor.
 *
 * Element and attribute names are constants of ours, never data.
 *
 * Calling sequence: fsxml_begin(), then fsxml_open(), its attributes, its
 * children, fsxml_close() for each element, fsxml_end().  Memory: as in buf.h,
 * test buf_failed() at the end.
 */
#ifndef FSXML_H
#define FSXML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define FSXML_TYPE  "text/xml; charset=utf-8"
#define FSXML_DEPTH 16

/* The one document that FreeSWITCH takes for "I do not know". */
extern const char fsxml_not_found[];
extern const size_t fsxml_not_found_len;

struct fsxml {
	struct buf *out;
	const char *open[FSXML_DEPTH];
	unsigned depth;
	bool in_tag; /* the last start tag can still take attributes */
};

/* Declaration, <document> and <section name="SECTION">. */
void fsxml_begin(struct fsxml *x, struct buf *out, const char *section);
/* No document of its own: elements of a static file. */
void fsxml_begin_part(struct fsxml *x, struct buf *out);
void fsxml_open(struct fsxml *x, const char *element);

/* Data that must come back as it is: names, hashes, passwords. */
void fsxml_attr(struct fsxml *x, const char *name, const char *value);

/*
 * Data that becomes a channel variable, or may be put into an application's
 * arguments.  FreeSWITCH expands `${...}` inside the value of a variable too
 * when somebody writes `${variable}`, and `${system(...)}` is a call of its
 * API.  So `${` becomes `%{`, which is what FreeSWITCH itself does to names
 * that come with a call (switch_string_var_check in switch_utils.h).  `${}`
 * alone names nothing, and stays.
 */
void fsxml_plain(struct fsxml *x, const char *name, const char *value);

/*
 * Text of ours whose `${...}` FreeSWITCH shall expand: dial-strings.  Only
 * `$${` is kept from the pre-processor.
 */
void fsxml_expanded(struct fsxml *x, const char *name, const char *value);

/* name="NAME", a constant of ours that needs no escapes. */
void fsxml_name(struct fsxml *x, const char *name);

/* <ELEMENT name="NAME" value="VALUE"/>; left out when `value` is NULL. */
void fsxml_item(struct fsxml *x, const char *element, const char *name,
		const char *value);

/*
 * Into a complete document: an attribute of its root, which FreeSWITCH does not
 * read, that says how new it is.  0: made before the program started.
 */
void fsxml_generation(struct buf *document, uint64_t generation);

void fsxml_close(struct fsxml *x);
/* Close what is open until `depth` elements are; the document and its section
 * are two. */
void fsxml_close_to(struct fsxml *x, unsigned depth);
void fsxml_end(struct fsxml *x);

#endif
