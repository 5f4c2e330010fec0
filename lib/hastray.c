#include "hastray.h"

#include "conf.h"
#include "halineage.h"
#include "hanode.h"

#define ASK_MS          INT64_C(2000)
#define ASK_STRANDED_MS INT64_C(1000)

/* What our directory has had, and the end of what both have; false: it cannot
 * be told. */
static bool
find_fork(int64_t ask_ms, struct ha_lineage *own, uint64_t *fork)
{
	struct verr ignored = VERR_INIT;
	struct db *peer = ha_peer_connection(ask_ms, &ignored);
	size_t place;
	bool found = peer &&
		     ha_lineage_part(own, conf_str("postgresql_data_directory"),
				     peer, fork, &place, &ignored) == 0;

	db_free(peer);
	return found;
}

bool
ha_is_stray(const struct ha_state *s)
{
	struct ha_lineage own;
	uint64_t fork, replayed;

	return ha_lsn_read(s->lsn, &replayed) &&
	       find_fork(ASK_MS, &own, &fork) && replayed > fork;
}

bool
ha_is_stranded(void)
{
	struct verr ignored = VERR_INIT;
	struct ha_state now = { 0 };
	struct ha_lineage own;
	uint64_t fork;

	return ha_state_look(&now, ASK_STRANDED_MS, &ignored) == 0 &&
	       now.pg == HA_PG_DOWN_STANDBY &&
	       find_fork(ASK_STRANDED_MS, &own, &fork) && own.follows &&
	       own.reached > fork;
}
