#include "hawal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "loop.h"

/* Blocks that were seen lately, by a hash of their number: most records write
 * where the one before did. */
#define SEEN 4096

struct scan {
	struct ha_wal *wal;
	uint64_t fork;
	bool failed;    /* no memory */
	char said[256]; /* the last line that is no record */
	struct ha_wal_block seen[SEEN];
};

/* --- lists ------------------------------------------------------------ */

static bool
grow(void *list, size_t count, size_t *size, size_t each)
{
	void **at = list, *more;

	if (count < *size)
		return true;
	*size = *size ? *size * 2 : 256;
	more = reallocarray(*at, *size, each);
	if (more)
		*at = more;
	return more != NULL;
}

static void
add_xid(struct scan *s, int64_t xid)
{
	struct ha_wal *w = s->wal;

	if (grow(&w->xids, w->xid_count, &w->xid_size, sizeof(*w->xids)))
		w->xids[w->xid_count++] = xid;
	else
		s->failed = true;
}

static int
by_place(const void *a, const void *b)
{
	const struct ha_wal_block *x = a, *y = b;

	if (x->database != y->database)
		return x->database < y->database ? -1 : 1;
	if (x->filenode != y->filenode)
		return x->filenode < y->filenode ? -1 : 1;
	return x->block < y->block ? -1 : x->block > y->block;
}

static void
add_block(struct scan *s, const struct ha_wal_block *b)
{
	struct ha_wal *w = s->wal;
	struct ha_wal_block *seen =
		&s->seen[(b->filenode * 31 + b->block) % SEEN];

	if (by_place(seen, b) == 0)
		return;
	*seen = *b;
	if (grow(&w->blocks, w->block_count, &w->block_size,
		 sizeof(*w->blocks)))
		w->blocks[w->block_count++] = *b;
	else
		s->failed = true;
}

static void
sort_blocks(struct ha_wal *w)
{
	size_t n = 0;

	if (!w->block_count)
		return;
	qsort(w->blocks, w->block_count, sizeof(*w->blocks), by_place);
	for (size_t i = 1; i < w->block_count; i++)
		if (by_place(&w->blocks[n], &w->blocks[i]) != 0)
			w->blocks[++n] = w->blocks[i];
	w->block_count = n + 1;
}

/* --- records ---------------------------------------------------------- */

/* "... desc: COMMIT 2026-11-21 15:00:00.123456 UTC; subxacts: 751 752; ..." */
static void
take_commit(struct scan *s, int64_t xid, const char *desc)
{
	struct ha_wal *w = s->wal;
	const char *sub = strstr(desc, "; subxacts:");
	char *end;

	desc += strcspn(desc, "0123456789");
	snprintf(w->last_at, sizeof(w->last_at), "%.*s",
		 (int)strcspn(desc, ";"), desc);
	if (!w->commits++)
		snprintf(w->first_at, sizeof(w->first_at), "%s", w->last_at);
	add_xid(s, xid);
	if (!sub)
		return;
	for (sub += strlen("; subxacts:"); *sub == ' '; sub = end) {
		xid = strtoll(sub, &end, 10);
		if (end == sub)
			break;
		add_xid(s, xid);
	}
}

/* "blkref #0: rel 1663/16384/16385 blk 7"; other forks have their name. */
static void
take_blocks(struct scan *s, const char *desc)
{
	const char *at = desc;

	while ((at = strstr(at, ": rel "))) {
		struct ha_wal_block b;

		if (sscanf(at, ": rel %*u/%" SCNu32 "/%" SCNu32 " blk %" SCNu32,
			   &b.database, &b.filenode, &b.block) == 3)
			add_block(s, &b);
		at++;
	}
}

/* "rmgr: Heap  len (rec/tot): 59/59, tx: 745, lsn: 0/3000148, prev ..." */
static void
take_line(char *line, void *arg)
{
	struct scan *s = arg;
	const char *tx = strstr(line, " tx:"), *at = strstr(line, " lsn: ");
	const char *desc = strstr(line, " desc: ");
	uint64_t lsn;
	int64_t xid;

	if (strncmp(line, "rmgr: ", 6) != 0 || !tx || !at || !desc ||
	    !ha_lsn_read(at + 6, &lsn)) {
		snprintf(s->said, sizeof(s->said), "%s", line);
		return;
	}
	line += 6;
	desc += 7;
	xid = strtoll(tx + 4, NULL, 10);
	s->wal->last = lsn;
	if (strncmp(line, "Heap", 4) == 0 && xid)
		take_blocks(s, desc);
	else if (lsn >= s->fork && strncmp(line, "Transaction", 11) == 0 &&
		 strncmp(desc, "COMMIT", 6) == 0)
		take_commit(s, xid, desc);
}

/* --- the WAL ---------------------------------------------------------- */

static bool
has_segment(const char *directory, const struct ha_lineage *l, uint32_t id,
	    uint64_t lsn)
{
	uint64_t bytes = (uint64_t)l->segment_bytes;
	uint64_t number = lsn / bytes, each = (UINT64_C(1) << 32) / bytes;
	char path[PATH_MAX];

	snprintf(path, sizeof(path),
		 "%s/pg_wal/%08" PRIX32 "%08" PRIX32 "%08" PRIX32, directory,
		 id, (uint32_t)(number / each), (uint32_t)(number % each));
	return access(path, F_OK) == 0;
}

/* One timeline, from `from`; the end of the WAL is an error of pg_waldump's. */
static int
scan_timeline(struct scan *s, const char *directory, uint32_t id, uint64_t from,
	      int64_t timeout_ms, struct verr *e)
{
	char path[PATH_MAX], wal[PATH_MAX], timeline[16], start[HA_LSN_TEXT];
	const char *const words[] = { path,     "-p", wal,   "-t",
				      timeline, "-s", start, NULL };
	/* Times of the log are compared with those of people. */
	const char *const environment[] = { "LC_ALL=C", "TZ=UTC", NULL };

	snprintf(path, sizeof(path), "%s/pg_waldump",
		 conf_str("postgresql_bin_dir"));
	snprintf(wal, sizeof(wal), "%s/pg_wal", directory);
	snprintf(timeline, sizeof(timeline), "%" PRIu32, id);
	ha_lsn_text(start, from);
	if (command_run_lines(words, environment, timeout_ms, take_line, s,
			      e) == -1)
		return -1;
	return s->failed ? verr_set(e, VERR_RETRY, "out of memory") : 0;
}

int
ha_wal_scan(struct ha_wal *w, const char *directory, const struct ha_lineage *l,
	    size_t place, uint64_t lsn, int64_t timeout_ms, struct verr *e)
{
	struct scan s = { .wal = w, .fork = lsn };
	int64_t end = loop_now_ms() + timeout_ms;
	char text[HA_LSN_TEXT];
	int rc = 0;

	*w = (struct ha_wal){ 0 };
	ha_lsn_text(text, lsn);
	for (size_t i = place; i < l->count && rc == 0; i++) {
		const struct ha_timeline *t = &l->timelines[i];
		uint64_t from = i == place ? lsn : t->begin;
		uint64_t early = from - from % (uint64_t)l->segment_bytes;

		if (!has_segment(directory, l, t->id, from)) {
			/* It may end just where a file would begin, or has not
			 * come so far. */
			if (i == l->count - 1 &&
			    ((from == early &&
			      has_segment(directory, l, t->id, from - 1)) ||
			     (l->follows && l->reached <= from)))
				break;
			return verr_set(e, VERR_INPUT,
					"the WAL of timeline %" PRIu32
					" from %s on is not in '%s/pg_wal'",
					t->id, text, directory);
		}
		/* The first file of a timeline begins with the end of the one
		 * before, which was read already. */
		if (i > place)
			early = from;
		while (i == place && early > 0 &&
		       from - early < HA_WAL_BEFORE &&
		       has_segment(directory, l, t->id, early - 1))
			early -= (uint64_t)l->segment_bytes;
		rc = scan_timeline(&s, directory, t->id, early,
				   end - loop_now_ms(), e);
	}
	if (rc == 0 && !w->last && *s.said)
		rc = verr_set(e, VERR_INPUT,
			      "pg_waldump finds nothing in '%s/pg_wal': %s",
			      directory, s.said);
	/* The end of a record may be meant, which is the next one's place. */
	if (rc == 0 && w->last < lsn && l->reached > lsn)
		rc = verr_set(e, VERR_INPUT,
			      "the WAL in '%s/pg_wal' ends too early: files "
			      "are missing",
			      directory);
	sort_blocks(w);
	return rc;
}

void
ha_wal_release(struct ha_wal *w)
{
	free(w->xids);
	free(w->blocks);
	*w = (struct ha_wal){ 0 };
}
