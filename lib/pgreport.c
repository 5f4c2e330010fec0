#include "pgreport.h"

#include <inttypes.h>
#include <string.h>

#include "pgnode.h"

/* clang-format off */
static const struct out_column columns[] = {
	{ "kind", OUT_TEXT },
	{ "name", OUT_TEXT },
	{ "role", OUT_TEXT },
	{ "state", OUT_TEXT },
	{ "timeline", OUT_NUMBER },
	{ "lsn", OUT_TEXT },
	{ "lag_bytes", OUT_NUMBER },
	{ "lag_ms", OUT_NUMBER },
	{ "detail", OUT_TEXT },
};
/* clang-format on */

static const char *
number(char *to, size_t size, int64_t n)
{
	if (n < 0)
		return NULL;
	snprintf(to, size, "%" PRId64, n);
	return to;
}

static void
node_row(struct out *out, const struct pgnode *node)
{
	const char *row[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = "node",
		[PGREPORT_NAME] = node->name,
		[PGREPORT_ROLE] = node->primary ? "primary" : "standby",
		[PGREPORT_STATE] = pgnode_state(node),
		[PGREPORT_LSN] = node->lsn,
	};
	char timeline[24], bytes[24], ms[24], detail[512];

	row[PGREPORT_TIMELINE] =
		number(timeline, sizeof(timeline), node->timeline);
	row[PGREPORT_LAG_BYTES] = number(bytes, sizeof(bytes), node->lag_bytes);
	row[PGREPORT_LAG_MS] = number(ms, sizeof(ms), node->lag_ms);
	snprintf(detail, sizeof(detail), "system %s%s%s%s%s", node->system_id,
		 *node->upstream ? " from " : "", node->upstream,
		 *node->sync_standbys ? " synchronous " : "",
		 node->sync_standbys);
	row[PGREPORT_DETAIL] = detail;
	out_row(out, row);
}

static void
peer_rows(struct out *out, const struct db_result *r)
{
	for (int i = 0; i < db_rows(r); i++) {
		const char *row[PGREPORT_COLUMNS] = {
			[PGREPORT_KIND] = db_field(r, i, "kind"),
			[PGREPORT_NAME] = db_field(r, i, "name"),
			[PGREPORT_STATE] = db_field(r, i, "state"),
			[PGREPORT_LSN] = db_field(r, i, "lsn"),
			[PGREPORT_LAG_BYTES] = db_field(r, i, "lag_bytes"),
			[PGREPORT_LAG_MS] = db_field(r, i, "lag_ms"),
			[PGREPORT_DETAIL] = db_field(r, i, "detail"),
		};

		out_row(out, row);
	}
}

/* What the data directory tells when nobody answers; why, stays in *e. */
static void
silent_row(struct out *out, const char *directory, struct verr *e)
{
	struct pgnode_postmaster p;
	struct verr cause = *e;
	const char *row[PGREPORT_COLUMNS] = {
		[PGREPORT_KIND] = "node", [PGREPORT_NAME] = directory
	};
	char detail[64] = "no process";

	if (*directory && pgnode_postmaster(directory, &p, e) == 0) {
		row[PGREPORT_ROLE] = p.standby ? "standby" : "primary";
		row[PGREPORT_STATE] = p.state;
		if (p.pid)
			snprintf(detail, sizeof(detail),
				 "process %ld does not answer", (long)p.pid);
		row[PGREPORT_DETAIL] = detail;
		out_row(out, row);
	}
	*e = cause;
	verr_wrap(e, "cannot tell the state of this node");
}

int
pgreport(struct db *db, const char *data_directory, FILE *file,
	 enum out_format format, void (*more)(struct out *out), struct verr *e)
{
	struct pgnode node;
	struct db_result *peers = NULL;
	struct verr ignored = VERR_INIT;
	struct out *out = out_begin(file, format, columns, PGREPORT_COLUMNS, e);
	int status = -1;

	if (!out)
		return -1;
	if (pgnode_look(db, &node, e) == -1) {
		silent_row(out, data_directory, e);
		goto out;
	}
	if (pgnode_peers(db, &peers, e) == -1)
		goto out;
	node_row(out, &node);
	peer_rows(out, peers);
	status = 0;
out:
	if (more)
		more(out);
	if (out_end(out, status == 0 ? e : &ignored) == -1)
		status = -1;
	db_result_free(peers);
	return status;
}
