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
 *
 * With encode=true and encode-values=true the two encodings cannot be told
 * apart: one decoding undoes both, so values hold raw quotes and line ends and
 * the text is no JSON.  Such a body is read by a tolerant parser and written
 * anew; `repaired` says so.  What a caller can place in a value (a display
 * name with `","uuid":"` in it) then looks like fields.  Fields that
 * FreeSWITCH writes before anything of the caller's count by their first
 * occurrence, those it writes after by their last, and of the others a name
 * that occurs several times counts by the value that occurs just once, since
 * the caller's text is repeated in several variables.  The lossless settings
 * are in voip-cdr-ingest(8).
 */
#ifndef CDRDECODE_H
#define CDRDECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "verr.h"

/*
 * Append JSON text to `json`; `*repaired` is set when it is not what
 * FreeSWITCH meant byte for byte, else left alone.  The text is not promised
 * to be valid JSON.  VERR_INPUT: never a CDR; VERR_RETRY: no memory.
 */
int cdr_decode(struct buf *json, bool *repaired, const void *body, size_t len,
	       struct verr *e);

#endif
