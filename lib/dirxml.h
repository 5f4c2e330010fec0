/*
 * dirxml: lookups over HTTP.
 *
 * Layer domain.  FreeSWITCH takes nothing but status 200 for an answer, so
 * whatever is not known is the not-found document with 200; 503 says that it
 * cannot be known now, and FreeSWITCH asks its next binding.  A request waits
 * for the database at most `dirxml_deadline`, its connection suspended.
 */
#ifndef DIRXML_H
#define DIRXML_H

#include "buf.h"
#include "db.h"
#include "httpd.h"
#include "loop.h"
#include "verr.h"

struct dirxml;

/* POST and GET of /fs/xml and below, /health and /metrics; the handlers'
 * argument is a struct dirxml. */
extern const struct http_route dirxml_routes[];

/* NULL: why is in `e`.  The caller frees it with dirxml_free(). */
struct dirxml *dirxml_new(struct loop *loop, struct verr *e);
void dirxml_free(struct dirxml *d);
/* The settings were read anew; what is wrong in them is logged. */
void dirxml_reload(struct dirxml *d);

/*
 * One lookup without a server: append what FreeSWITCH would get for `form`.
 * Returns 1; 0 when that is the not-found document; -1 on error.
 */
int dirxml_ask(struct buf *out, const char *form, size_t len, struct verr *e);

#endif
