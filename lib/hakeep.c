#include "hakeep.h"

#include <stdio.h>

#include "conf.h"
#include "haalert.h"
#include "hasalvage.h"
#include "hasalvageset.h"
#include "log.h"

/* A word that is longer is cut: there may be millions of keys to compare. */
#define PEER_MS INT64_C(60000)

struct db *
ha_keep_peer(struct verr *e)
{
	static const char *const session[] = {
		"set timezone to 'UTC'",
		"set default_transaction_read_only to on",
		NULL,
	};
	const struct db_options o = {
		.conninfo = conf_str("peer_replication"),
		.role = "voip_failover",
		.session_attrs = "any",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = PEER_MS,
		.session_sql = session,
	};

	return db_new(&o, e);
}

static int
tell(const struct ha_journal *j, const struct ha_salvage *s, struct verr *e)
{
	char words[256], why[PATH_MAX + 512];

	ha_salvage_words(words, sizeof(words), &s->lost);
	snprintf(why, sizeof(why),
		 "%s only here, of %zu transactions%s: in '%s', took %lld ms",
		 words, s->transactions,
		 s->lost.compared ? "" : " (not compared with the peer)",
		 s->path, (long long)s->took_ms);
	if (s->lost.all && !s->before)
		ha_alert_about("salvage", "done", why);
	return ha_journal_note(j->kept, "salvage", why, e);
}

static int
cannot(const struct ha_journal *j, const char *directory,
       const struct verr *reason, struct verr *e)
{
	char why[1400];

	snprintf(why, sizeof(why),
		 "the rows that may only be in '%.400s' could not be saved, it "
		 "is kept and not rewound: %.800s",
		 directory, reason->msg);
	log_error("%s", why);
	ha_alert_about("salvage", "failed", why);
	return ha_journal_note(j->kept, "salvage failed", why, e);
}

int
ha_keep_rows(struct ha_journal *j, const char *directory, struct verr *e)
{
	int64_t timeout_ms = conf_ms("rejoin_salvage");
	struct verr why = VERR_INIT;
	struct ha_salvage s;
	struct db *peer;
	int rc;

	if (timeout_ms == 0)
		return 1;
	if (ha_journal_step(j, "salvage", e) == -1)
		return -1;
	peer = ha_keep_peer(e);
	if (!peer)
		return -1;
	rc = ha_salvage(directory, peer, timeout_ms, &s, &why);
	db_free(peer);
	if (rc == -1 && why.kind != VERR_INPUT) {
		*e = why;
		return verr_wrap(e, "salvage");
	}
	if (rc == -1)
		return cannot(j, directory, &why, e);
	/* Nothing was committed that the other side does not have. */
	if (!s.transactions)
		return 1;
	return tell(j, &s, e) == -1 ? -1 : 1;
}
