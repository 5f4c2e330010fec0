#include "hasplit.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "hafacts.h"
#include "hajournal.h"
#include "hakeep.h"
#include "hanode.h"
#include "hasalvage.h"
#include "hasalvageset.h"
#include "out.h"

#define LOOK_MS    INT64_C(60000)
#define SALVAGE_MS INT64_C(300000)

/* --- show ------------------------------------------------------------- */

static const struct out_column show_columns[] = {
	{ "kind", OUT_TEXT },       { "name", OUT_TEXT },
	{ "role", OUT_TEXT },       { "state", OUT_SEVERITY },
	{ "timeline", OUT_NUMBER }, { "lsn", OUT_TEXT },
	{ "rows", OUT_NUMBER },     { "detail", OUT_TEXT },
};

enum { KIND, NAME, ROLE, STATE, TIMELINE, LSN, ROWS, DETAIL, COLUMNS };

static void
show_node(struct out *out, const char *kind, const struct ha_state *s)
{
	char timeline[24], detail[400];
	const char *row[COLUMNS] = {
		[KIND] = kind,
		[NAME] = s->name,
		[ROLE] = ha_role_word(s->pg),
		[STATE] = s->writable      ? "writes"
			  : s->kept.fenced ? "fenced"
			  : s->streaming   ? "streaming"
					   : "does not write",
		[LSN] = *s->lsn ? s->lsn : NULL,
		[DETAIL] = detail,
	};

	snprintf(timeline, sizeof(timeline), "%" PRId64, s->timeline);
	if (s->timeline)
		row[TIMELINE] = timeline;
	snprintf(detail, sizeof(detail), "%s%s%s%s",
		 s->kept.held ? "has the address" : "without the address",
		 *s->upstream ? ", receives from " : "", s->upstream,
		 *s->why ? ", PostgreSQL does not answer" : "");
	out_row(out, row);
}

static bool
is_unheard(const struct ha_outcome *o)
{
	return o->facts.peer & (HA_PEER_UNHEARD | HA_PEER_NONE);
}

static void
show_nodes(struct out *out, const struct ha_outcome *o)
{
	char why[sizeof(o->peer_why)];

	snprintf(why, sizeof(why), "%.*s", (int)strcspn(o->peer_why, "\n"),
		 o->peer_why);
	show_node(out, "node", &o->state);
	if (is_unheard(o)) {
		const char *const row[COLUMNS] = {
			[KIND] = "peer",
			[NAME] = conf_str("peer_address"),
			[STATE] = o->facts.peer == HA_PEER_UNCLEAR ? "unclear"
								   : "silent",
			[DETAIL] = *why ? why : "there is none",
		};

		out_row(out, row);
		return;
	}
	show_node(out, "peer", &o->peer);
}

static void
show_fork(struct out *out, const struct ha_salvage *s, bool counted)
{
	char timeline[24], lsn[HA_LSN_TEXT], rows[24], words[256], detail[600];
	const char *row[COLUMNS] = {
		[KIND] = "fork",
		[STATE] = s->apart ? "apart" : "together",
		[TIMELINE] = timeline,
		[DETAIL] = detail,
	};

	snprintf(timeline, sizeof(timeline), "%" PRIu32, s->timeline);
	if (s->fork != UINT64_MAX) {
		ha_lsn_text(lsn, s->fork);
		row[LSN] = lsn;
	}
	snprintf(rows, sizeof(rows), "%zu", s->lost.all);
	if (counted)
		row[ROWS] = rows;
	ha_salvage_words(words, sizeof(words), &s->lost);
	if (s->transactions)
		snprintf(detail, sizeof(detail),
			 "only here: %zu transactions%s%s, from %s to %s",
			 s->transactions, counted ? ", " : "",
			 counted ? words : "", s->first_at, s->last_at);
	else
		snprintf(detail, sizeof(detail), "%s",
			 s->apart ? "nothing was committed only here"
				  : "the peer's history has all of this one's");
	out_row(out, row);
}

static void
show_salvage(const char *path, const char *words, bool waits, void *arg)
{
	const char *name = strrchr(path, '/');
	char detail[PATH_MAX + 320];
	const char *const row[COLUMNS] = {
		[KIND] = "salvage",
		[NAME] = name ? name + 1 : path,
		[STATE] = waits ? "waits" : "imported",
		[DETAIL] = detail,
	};

	snprintf(detail, sizeof(detail), "%s%s'%s'", words,
		 waits ? ": voip-cdr-ingest import " : ": ", path);
	out_row(arg, row);
}

enum verdict { TOGETHER, APART, UNKNOWN };

static void
show_verdict(struct out *out, enum verdict v, const char *detail)
{
	static const char *const words[] = { "together", "apart", "unknown" };
	const char *const row[COLUMNS] = {
		[KIND] = "verdict", [STATE] = words[v], [DETAIL] = detail
	};

	out_row(out, row);
}

/* Its voip-failover may be silent while its server writes. */
static bool
server_writes(struct db *peer)
{
	struct db_result *r = NULL;
	struct verr ignored = VERR_INIT;
	bool writes = db_query(peer, &r, "select pg_is_in_recovery()", 0, NULL,
			       &ignored) == 0 &&
		      db_rows(r) == 1 && strcmp(db_value(r, 0, 0), "f") == 0;

	db_result_free(r);
	return writes;
}

/* What only this node has; 0 when it is known. */
static int
look(struct ha_outcome *o, struct ha_salvage *s, bool *counted, struct verr *e)
{
	bool runs =
		o->state.pg == HA_PG_PRIMARY || o->state.pg == HA_PG_STANDBY;
	struct db *peer, *own = NULL;
	int rc = -1;

	if (!*conf_str("peer_replication"))
		return verr_set(e, VERR_CONFIG,
				"setting 'peer_replication' is empty: the "
				"peer's history cannot be asked for");
	if (!*conf_str("postgresql_data_directory"))
		return verr_set(e, VERR_CONFIG,
				"setting 'postgresql_data_directory' is empty");
	peer = ha_keep_peer(e);
	if (peer && runs)
		own = ha_node_connection(LOOK_MS, e);
	if (peer && (own || !runs))
		rc = ha_salvage_look(conf_str("postgresql_data_directory"), own,
				     peer, LOOK_MS, s, e);
	*counted = rc == 0 && own && s->transactions;
	if (rc == 0 && is_unheard(o))
		o->peer.writable = server_writes(peer);
	db_free(own);
	db_free(peer);
	return rc;
}

/* Both write: whatever the histories say. */
static bool
is_double(const struct ha_outcome *o)
{
	return o->state.writable && o->peer.writable;
}

static int
judge(struct out *out, const struct ha_outcome *o, const struct ha_salvage *s,
      const struct verr *unknown, struct verr *e)
{
	if (is_double(o)) {
		show_verdict(out, APART,
			     "both write: 'voip-failover demote' on the one "
			     "without the address, or when both have it with "
			     "the lower timeline");
		return verr_set(e, VERR_CONFLICT, "both nodes write");
	}
	if (unknown->kind) {
		char detail[500];

		snprintf(detail, sizeof(detail), "%.*s",
			 (int)strcspn(unknown->msg, "\n"), unknown->msg);
		show_verdict(out, UNKNOWN, detail);
		*e = *unknown;
		if (e->kind != VERR_CONFIG)
			e->kind = VERR_RETRY;
		return -1;
	}
	if (!s->apart) {
		show_verdict(out, TOGETHER, NULL);
		return 0;
	}
	show_verdict(out, APART,
		     o->state.writable
			     ? "this node writes: 'voip-failover rejoin' on "
			       "the peer brings that one back"
		     : s->transactions
			     ? "'voip-failover rejoin' saves what is only "
			       "here, and brings this node back"
			     : "'voip-failover rejoin' brings this node back");
	return verr_set(e, VERR_CONFLICT,
			"this node's history is not the peer's any more");
}

static int
show(struct verr *e)
{
	struct verr unknown = VERR_INIT, verdict = VERR_INIT, why = VERR_INIT;
	struct ha_salvage s = { 0 };
	enum out_format format;
	struct ha_outcome o;
	struct out *out;
	bool counted = false;

	if (out_format_from_options(&format, e) == -1 ||
	    ha_facts_gather(HA_ON_TICK, &o, e) == -1)
		return -1;
	look(&o, &s, &counted, &unknown);
	out = out_begin(stdout, format, show_columns, COLUMNS, e);
	if (!out)
		return -1;
	show_nodes(out, &o);
	if (!unknown.kind)
		show_fork(out, &s, counted);
	if (ha_salvage_list(show_salvage, out, &why) == -1 && !unknown.kind)
		unknown = why;
	judge(out, &o, &s, &unknown, &verdict);
	if (out_end(out, e) == -1)
		return -1;
	if (verdict.kind) {
		*e = verdict;
		return -1;
	}
	return 0;
}

/* --- salvage ---------------------------------------------------------- */

static bool
is_same(const char *a, const char *b)
{
	char first[PATH_MAX], second[PATH_MAX];

	return realpath(a, first) && realpath(b, second) &&
	       strcmp(first, second) == 0;
}

/* The peer; when it is away, this node's server, if it has another directory.
 */
static struct db *
other_side(const char *directory, struct verr *e)
{
	struct db_server server;
	struct verr why = VERR_INIT;
	struct db *db = NULL;

	if (*conf_str("peer_replication"))
		db = ha_keep_peer(e);
	if (db && db_connect(db, &server, e) == 0)
		return db;
	db_free(db);
	if (is_same(directory, conf_str("postgresql_data_directory"))) {
		if (!e->kind)
			verr_set(e, VERR_CONFIG,
				 "setting 'peer_replication' is empty: whose "
				 "rows would these be compared with?");
		return NULL;
	}
	db = ha_node_connection(LOOK_MS, &why);
	if (db && db_connect(db, &server, &why) == 0) {
		*e = VERR_INIT;
		return db;
	}
	db_free(db);
	if (!e->kind)
		*e = why;
	return NULL;
}

static int
print_salvage(const struct ha_salvage *s, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "relation", OUT_TEXT },
		{ "rows", OUT_NUMBER },
		{ "directory", OUT_TEXT },
	};
	enum out_format format;
	struct out *out;
	char rows[24];

	if (out_format_from_options(&format, e) == -1)
		return -1;
	out = out_begin(stdout, format, columns, 3, e);
	if (!out)
		return -1;
	for (int r = 0; r < HA_LOST_COUNT; r++) {
		const char *const values[] = {
			ha_lost_name((enum ha_lost_relation)r), rows, s->path
		};

		snprintf(rows, sizeof(rows), "%zu", s->lost.rows[r]);
		if (s->lost.rows[r])
			out_row(out, values);
	}
	return out_end(out, e);
}

static int
note(const char *directory, const struct ha_salvage *s, struct verr *e)
{
	char words[256], why[PATH_MAX * 2 + 512];
	struct ha_kept kept;

	if (ha_kept_load(&kept, e) == -1)
		return -1;
	ha_salvage_words(words, sizeof(words), &s->lost);
	snprintf(why, sizeof(why),
		 "by hand from '%s': %s of %zu transactions%s%s%s", directory,
		 words, s->transactions, *s->path ? " in '" : "", s->path,
		 *s->path ? "'" : "");
	return ha_journal_note(&kept, "salvage", why, e);
}

static int
salvage(const char *directory, struct verr *e)
{
	int64_t timeout_ms = conf_ms("rejoin_salvage");
	struct ha_salvage s;
	struct db *other;
	int lock, rc;

	if (!*directory)
		return verr_set(e, VERR_CONFIG,
				"setting 'postgresql_data_directory' is empty\n"
				"hint: name the directory");
	lock = ha_lock(HA_LOCK_MS, e);
	if (lock == -1)
		return -1;
	other = other_side(directory, e);
	rc = other ? ha_salvage(directory, other,
				timeout_ms ? timeout_ms : SALVAGE_MS, &s, e)
		   : -1;
	db_free(other);
	if (rc == 0)
		rc = note(directory, &s, e);
	close(lock);
	return rc ? rc : print_salvage(&s, e);
}

int
ha_cmd_split_brain(int argc, const char **argv, struct verr *e)
{
	if (strcmp(argv[0], "show") == 0 && argc == 1)
		return show(e);
	if (strcmp(argv[0], "salvage") == 0)
		return salvage(argc == 2
				       ? argv[1]
				       : conf_str("postgresql_data_directory"),
			       e);
	return verr_set(e, VERR_USAGE,
			"split-brain is 'show' or 'salvage [DIRECTORY]'");
}
