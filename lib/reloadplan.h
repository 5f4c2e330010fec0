/*
 * reloadplan: what Kamailio and FreeSWITCH are told about a change.
 *
 * Layer domain.  One table: the changed row's table, and the commands for each
 * peer.  A command is text, words between spaces:
 *   Kamailio: an RPC method and its parameters, "htable.delete auth 1001@a.b";
 *   FreeSWITCH: an API command, its words escaped (eslmessage.h), or a task
 *   for us that ends in commands: "@gateways", "@callcenter".
 *
 * Kamailio keeps two tables of each kind (settings kamailio_number_tables and
 * kamailio_account_tables): the cache, then the last good answers for the time
 * without a database.  The key of what changed leaves both.  A change of what
 * many keys depend on (a pattern, a trunk) empties the cache and leaves the
 * last good answers, which are replaced as they are asked for: without them
 * nothing would work when the database goes away next.
 */
#ifndef RELOADPLAN_H
#define RELOADPLAN_H

#include "change.h"
#include "verr.h"

enum reload_to { RELOAD_KAMAILIO, RELOAD_FREESWITCH, RELOAD_PEERS };

typedef void (*reload_put_fn)(enum reload_to to, const char *command,
			      void *arg);

/* "kamailio", "freeswitch" */
const char *reload_to_name(enum reload_to to);

/*
 * The commands of a change, in the order in which they are to be sent.  When
 * `*lookup` is not NULL then the row has others that depend on it: that SQL,
 * with the change's domain and name as $1 and $2, returns them as rows of
 * (number, username), for reload_plan_found().  VERR_INPUT: a name that cannot
 * be one, so that nothing depends on it.
 */
int reload_plan(const struct change *c, const char **lookup, reload_put_fn put,
		void *arg, struct verr *e);

/* A row of the lookup; NULL or a value each. */
void reload_plan_found(const char *domain, const char *number,
		       const char *username, reload_put_fn put, void *arg);

/* Instead of a lookup that cannot be made: all that could be found. */
void reload_plan_unknown(reload_put_fn put, void *arg);

/* A peer that may have missed anything. */
void reload_plan_resync(enum reload_to to, reload_put_fn put, void *arg);

#endif
