/*
 * cdrrepair: JSON text that FreeSWITCH broke, made readable.
 *
 * Layer text.  Two ways it breaks:
 *
 * - Control characters stand raw in strings.  They become \u00XX.
 *
 * - With encode=true the outer percent-encoding leaves %XX as it finds it, so
 *   what encode-values=true encoded before (and a %22 that a phone sent) is
 *   undone by the same decoding: values of `variables` hold raw quotes and
 *   line ends.  A value then ends only at `","name":"` or where `variables`
 *   ends, and what a caller places in a value (a display name with
 *   `","uuid":"` in it) looks like fields.
 *
 *   FreeSWITCH writes no name twice.  So a name that occurs several times is
 *   decided: by the first occurrence for those that stand before anything of
 *   the caller's (uuid, direction), by the last for those that stand after
 *   (the durations).  Of any other, the caller's values are repeated in the
 *   several variables that hold the display name: the value that occurs just
 *   once counts, or none.
 */
#ifndef CDRREPAIR_H
#define CDRREPAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

/*
 * Append text for another try to `out`.  `text` is valid UTF-8 without NUL;
 * `form`: it was percent-encoded.  VERR_INPUT: beyond repair; VERR_RETRY: no
 * memory.
 */
int cdr_repair(struct buf *out, const char *text, size_t len, bool form,
	       struct verr *e);

#endif
