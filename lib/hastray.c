#include "hastray.h"

#include "conf.h"
#include "halineage.h"
#include "hanode.h"

#define ASK_MS INT64_C(2000)

bool
ha_is_stray(const struct ha_state *s)
{
	struct verr ignored = VERR_INIT;
	struct db *peer = ha_peer_connection(ASK_MS, &ignored);
	struct ha_lineage own;
	uint64_t fork, replayed;
	size_t place;
	bool stray =
		peer && ha_lsn_read(s->lsn, &replayed) &&
		ha_lineage_part(&own, conf_str("postgresql_data_directory"),
				peer, &fork, &place, &ignored) == 0 &&
		replayed > fork;

	db_free(peer);
	return stray;
}
