/*
 * cdrdecode: from the bytes that mod_json_cdr sent to JSON text.
 *
 * Layer text.  The first bytes of the body decide, never the header, because
 * FreeSWITCH sends JSON and base64 under the form's content type too:
 *
 *   {                  JSON (white space before it is passed over)
 *   cdr=%7B  cdr={     form: percent-encoded JSON
 *   cdr=ey             base64, `+ / =` not escaped
 *   %7B  ey            the same without `cdr=`, as FreeSWITCH leaves them in
 *                      its files of failed posts
 *
 * Bodies of mod_xml_cdr are recognised and refused with that reason.
 */
#ifndef CDRDECODE_H
#define CDRDECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

/*
 * Append what should be JSON text to `json`.  `*form` is set when it was
 * percent-encoded, which cdrrepair.h must know, else cleared.  VERR_INPUT:
 * never a CDR; VERR_RETRY: no memory.
 */
int cdr_decode(struct buf *json, bool *form, const void *body, size_t len,
	       struct verr *e);

#endif
