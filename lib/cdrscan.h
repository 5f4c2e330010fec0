/*
 * cdrscan: is this surely a CDR? at a tenth of a parser's price.
 *
 * Layer text.  The intake asks of each body whether it can become a record,
 * and nearly all can.  One pass over the text without memory tells: strict JSON
 * with one `variables` that holds a plain uuid and a start_uepoch.  What is
 * unusual in any way, right or wrong, is left to the parser.
 */
#ifndef CDRSCAN_H
#define CDRSCAN_H

#include <stdbool.h>
#include <stddef.h>

/* `text` is valid UTF-8.  False: ask the parser. */
bool cdr_scan(const char *text, size_t len);

#endif
