#include "hastray.h"

#include "conf.h"
#include "halineage.h"
#include "hanode.h"

#define ASK_MS INT64_C(2000)

/* The end of what both have had. */
static int
find_fork(uint64_t *fork, struct verr *e)
{
	struct ha_lineage own, other;
	struct db *peer = ha_peer_connection(ASK_MS, e);
	size_t place;
	int rc = -1;

	if (peer && ha_lineage_of_server(&other, peer, e) == 0 &&
	    ha_lineage_of_directory(&own, conf_str("postgresql_data_directory"),
				    e) == 0)
		rc = ha_lineage_fork(&own, &other, fork, &place, e);
	db_free(peer);
	return rc;
}

bool
ha_is_stray(const struct ha_state *s)
{
	struct verr ignored = VERR_INIT;
	uint64_t fork, replayed;

	return ha_lsn_read(s->lsn, &replayed) &&
	       find_fork(&fork, &ignored) == 0 && replayed > fork;
}
