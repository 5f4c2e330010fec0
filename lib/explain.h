/*
 * explain: what FreeSWITCH gets for a user, and where each value came from.
 *
 * Layer domain.  The document of the same builders, with the source of a value
 * as a comment behind its line: the table and column, the setting, or which of
 * two when a tenant's value stands for a user's.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "buf.h"
#include "verr.h"

/*
 * Append it for a lookup's form about `user`, "USER@DOMAIN".  Returns 1; 0 when
 * that is the not-found document; -1 on error.
 */
int explain_user(struct buf *out, const struct buf *form, const char *user,
		 struct verr *e);

#endif
