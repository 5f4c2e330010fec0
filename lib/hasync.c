#include "hasync.h"

#include <string.h>

#include "conf.h"
#include "hajournal.h"
#include "hanode.h"

/* Whoever streams: there are two nodes. */
#define ANY_STANDBY "ANY 1 (*)"
#define ASK_MS      INT64_C(2000)

static bool
is_mode(const char *mode)
{
	return strcmp(conf_str("sync_mode"), mode) == 0;
}

/* ALTER SYSTEM stands alone, and takes no parameter. */
static int
set_names(struct db *db, bool wait, struct verr *e)
{
	if (db_script(db,
		      wait ? "alter system set synchronous_standby_names"
			     " = 'ANY 1 (*)'"
			   : "alter system set synchronous_standby_names = ''",
		      e) == -1)
		return -1;
	return db_script(db, "select pg_reload_conf()", e);
}

int
ha_sync_promote(struct db *db, const char *names, struct verr *e)
{
	bool strict = is_mode("strict");

	/* Its first commit would wait for the node that has gone: which is
	 * what strict means. */
	if (strict ? strcmp(names, ANY_STANDBY) == 0 : !*names)
		return 0;
	return set_names(db, strict, e);
}

/* An old primary that is cut off must not open itself for writes. */
static bool
is_gone(const struct ha_facts *f, const struct ha_state *peer)
{
	if (!(f->peer & HA_PEER_UNHEARD))
		return !peer->streaming;
	return f->witness == HA_WITNESS_SEEN ||
	       (f->witness == HA_WITNESS_NONE && f->policy == HA_AVAILABILITY);
}

int
ha_sync_tend(const struct ha_state *s, const struct ha_facts *f,
	     const struct ha_state *peer, struct verr *e)
{
	bool waits = *s->sync_standbys != '\0', wait = waits;
	struct db *db;
	int rc;

	if (is_mode("async") || (s->pg == HA_PG_STANDBY && !is_mode("strict")))
		return 0;
	if (is_mode("strict") ||
	    (f->peer == HA_PEER_STANDBY && peer->streaming))
		wait = true;
	else if (is_gone(f, peer))
		wait = false;
	if (wait == waits)
		return 0;
	db = ha_node_connection(ASK_MS, e);
	rc = db ? set_names(db, wait, e) : -1;
	db_free(db);
	if (rc == -1)
		return verr_wrap(e, "cannot change synchronous_standby_names");
	if (s->pg == HA_PG_STANDBY)
		return 0;
	return ha_journal_note(&s->kept, wait ? "sync on" : "sync off",
			       wait ? "commits wait for the standby"
				    : "the standby is gone: commits do not "
				      "wait for it",
			       e);
}
