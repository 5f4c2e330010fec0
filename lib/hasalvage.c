#include "hasalvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "filereplace.h"
#include "hanode.h"
#include "hasalvageset.h"
#include "hatorn.h"
#include "hawal.h"
#include "log.h"
#include "loop.h"
#include "pgalone.h"

/* --- looking ---------------------------------------------------------- */

static int
look(const char *directory, struct db *other, int64_t end_ms,
     struct ha_wal *wal, struct ha_salvage *s, struct verr *e)
{
	struct ha_lineage own;
	size_t place;

	/* Not of this pair: nobody may take it for one that was salvaged. */
	if (ha_lineage_part(&own, directory, other, &s->fork, &place, e) == -1)
		return -1;
	s->timeline = own.timelines[own.count - 1].id;
	if (s->fork == UINT64_MAX)
		return 0;
	if (ha_wal_scan(wal, directory, &own, place, s->fork,
			end_ms - loop_now_ms(), e) == -1)
		return -1;
	s->last = wal->last;
	s->apart = wal->last >= s->fork;
	s->transactions = wal->commits;
	snprintf(s->first_at, sizeof(s->first_at), "%s", wal->first_at);
	snprintf(s->last_at, sizeof(s->last_at), "%s", wal->last_at);
	return 0;
}

int
ha_salvage_look(const char *directory, struct db *own, struct db *other,
		int64_t timeout_ms, struct ha_salvage *s, struct verr *e)
{
	int64_t begun = loop_now_ms(), end = begun + timeout_ms;
	struct ha_wal wal = { 0 };
	int rc;

	*s = (struct ha_salvage){ 0 };
	rc = look(directory, other, end, &wal, s, e);
	if (rc == 0 && s->transactions && own)
		rc = ha_lost_rows(own, other, &wal, end, NULL, NULL, &s->lost,
				  e);
	ha_wal_release(&wal);
	s->took_ms = loop_now_ms() - begun;
	return rc;
}

/* --- salvaging -------------------------------------------------------- */

static int
take_line(enum ha_lost_relation r, const struct buf *line, void *arg,
	  struct verr *e)
{
	return hasalvageset_add(arg, r, line, e);
}

/* The database whose rows these are. */
static char *
database(struct verr *e)
{
	struct db *db = ha_node_connection(0, e);
	char *name = db ? db_name(db, e) : NULL;

	db_free(db);
	return name;
}

static int
ask_alone(const char *directory, struct db *other, const struct ha_wal *wal,
	  int64_t end_ms, struct hasalvageset *set, struct ha_salvage *s,
	  struct verr *e)
{
	struct pgalone alone = { .pid = 0 };
	struct db *db = NULL;
	char *name = database(e);
	int rc = -1;

	if (!name)
		return -1;
	rc = pgalone_start(&alone, directory, s->timeline, s->last, name,
			   end_ms - loop_now_ms(), &db, e);
	if (rc == 0)
		rc = ha_lost_rows(db, other, wal, end_ms, take_line, set,
				  &s->lost, e);
	db_free(db);
	pgalone_stop(&alone);
	free(name);
	return rc;
}

static int
salvage(const char *directory, struct db *other, const struct ha_wal *wal,
	int64_t begun, int64_t end_ms, struct ha_salvage *s, struct verr *e)
{
	struct hasalvageset set;
	char digest[HASH_SHA256_HEX];
	int rc = hasalvageset_begin(&set, s->timeline, e);

	if (rc == 0)
		rc = ask_alone(directory, other, wal, end_ms, &set, s, e);
	if (rc == 0)
		rc = ha_control_digest(directory, digest, e);
	s->took_ms = loop_now_ms() - begun;
	if (rc == 0)
		rc = hasalvageset_end(&set, s, directory, digest, e);
	hasalvageset_release(&set);
	return rc;
}

int
ha_salvage(const char *directory, struct db *other, int64_t timeout_ms,
	   struct ha_salvage *s, struct verr *e)
{
	int64_t begun = loop_now_ms(), end = begun + timeout_ms;
	char digest[HASH_SHA256_HEX];
	struct ha_wal wal = { 0 };
	int rc, before;

	*s = (struct ha_salvage){ 0 };
	if (ha_control_digest(directory, digest, e) == -1) {
		e->kind = VERR_INPUT;
		return verr_wrap(e, "'%s' is no data directory", directory);
	}
	if (pgalone_clear(directory, e) == -1)
		return -1;
	before = hasalvageset_find(digest, s, e);
	if (before)
		return before == 1 ? 0 : -1;
	rc = look(directory, other, end, &wal, s, e);
	if (rc == 0 && s->transactions)
		rc = salvage(directory, other, &wal, begun, end, s, e);
	ha_wal_release(&wal);
	s->took_ms = loop_now_ms() - begun;
	/* Trying again would take as long again. */
	if (rc == -1 && e->kind == VERR_RETRY && loop_now_ms() >= end)
		e->kind = VERR_INPUT;
	return rc;
}
