/*
 * csv: one record of RFC 4180 cut into its fields.
 *
 * Layer text.  A record may hold line breaks within quotes; csv_is_whole()
 * tells whether the lines read so far are one, so that a reader can fetch
 * them line by line.
 */
#ifndef CSV_H
#define CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

/* Is every quote closed? */
bool csv_is_whole(const char *s, size_t len);

/*
 * Cut `s`, which ends with a NUL and without its line break, in place: the
 * fields are borrowed from it.  Returns their number, at most `max`, or -1
 * with VERR_INPUT.
 */
int csv_split(char *s, const char **fields, int max, struct verr *e);

/*
 * Append a field, with a comma before it unless it is the first.  An empty one
 * is quoted: out.h writes a null as nothing.
 */
void csv_add(struct buf *b, bool first, const char *s);

#endif
