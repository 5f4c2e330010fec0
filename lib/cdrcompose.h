/*
 * cdrcompose: from the columns of voip.cdr back to a body of mod_json_cdr.
 *
 * Layer domain.  For a record whose body was not kept: cdr_parse() makes the
 * same columns of what is composed here, since each value is put where the
 * first source of its column (CDR_FIELDS) is looked for.  What is computed from
 * more than a column holds, as `hangup_by`, is put so that the same comes out;
 * `repaired` is not carried, the text is whole by now.
 */
#ifndef CDRCOMPOSE_H
#define CDRCOMPOSE_H

#include "buf.h"
#include "cdr.h"

/*
 * Append the body, one line.  `values` has an entry for each field, NULL for
 * null; times are numbers: microseconds of the epoch for CDR_TYPE_UTIME,
 * seconds for CDR_TYPE_TIME.
 */
void cdr_compose(struct buf *out, const char *const values[CDR_FIELD_COUNT]);

/*
 * The first column in which `body`, parsed, and `values` differ; NULL: none,
 * "": it is no CDR.  `c` is the caller's, to be used again.
 */
const char *cdr_compose_check(struct cdr *c, const char *body, size_t len,
			      const char *const values[CDR_FIELD_COUNT]);

#endif
