/*
 * fsstatic: a tenant as files, for a FreeSWITCH that asks nobody.
 *
 * Layer domain.  The same statements and builders as the answers of
 * voip-dirxml, for all that a tenant has, wrapped in <include>.  What is only
 * known while a call is there (who calls, and what the caller may) is left to
 * FreeSWITCH's variables, or out: see voip-dirxml(8).
 */
#ifndef FSSTATIC_H
#define FSSTATIC_H

#include "buf.h"
#include "verr.h"

/*
 * `section` is directory, configuration or dialplan (VERR_USAGE when it is
 * something else); `context` is for the dialplan, NULL: the setting
 * user_context.  Returns 1; 0 when there is nothing; -1 on error.
 */
int fsstatic_print(struct buf *out, const char *section, const char *domain,
		   const char *context, struct verr *e);

#endif
