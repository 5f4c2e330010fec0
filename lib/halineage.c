#include "halineage.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "conf.h"
#include "filereplace.h"

#define CONTROL_MS  INT64_C(60000)
#define HISTORY_MAX ((size_t)1 << 20)

void
ha_lsn_text(char text[HA_LSN_TEXT], uint64_t lsn)
{
	snprintf(text, HA_LSN_TEXT, "%" PRIX32 "/%" PRIX32,
		 (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

bool
ha_lsn_read(const char *text, uint64_t *lsn)
{
	unsigned high, low;

	if (sscanf(text, "%8X/%8X", &high, &low) != 2)
		return false;
	*lsn = (uint64_t)high << 32 | low;
	return true;
}

/* --- histories -------------------------------------------------------- */

static int
add(struct ha_lineage *l, uint32_t id, uint64_t end, struct verr *e)
{
	if (l->count == HA_LINEAGE_MAX)
		return verr_set(e, VERR_INPUT,
				"there are more than %d timelines",
				HA_LINEAGE_MAX);
	l->timelines[l->count] = (struct ha_timeline){
		.id = id,
		.begin = l->count ? l->timelines[l->count - 1].end : 0,
		.end = end,
	};
	l->count++;
	return 0;
}

/* Lines of "TIMELINE<tab>POSITION<tab>REASON", the oldest first; the present
 * one has none. */
static int
take_history(struct ha_lineage *l, const char *text, uint32_t present,
	     struct verr *e)
{
	l->count = 0;
	while (*text) {
		unsigned id;
		char lsn[HA_LSN_TEXT];
		uint64_t end;

		/* Between two lines there is an empty one. */
		if (*text != '\n' &&
		    sscanf(text, " %u %23[0-9A-Fa-f/]", &id, lsn) == 2) {
			if (!ha_lsn_read(lsn, &end))
				return verr_set(e, VERR_INPUT,
						"the history of timeline "
						"%" PRIu32 " is damaged",
						present);
			if (add(l, id, end, e) == -1)
				return -1;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	if (present > 1 && !l->count)
		return verr_set(e, VERR_INPUT,
				"the history of timeline %" PRIu32 " is empty",
				present);
	return add(l, present, UINT64_MAX, e);
}

/* --- a directory ------------------------------------------------------ */

struct control {
	struct ha_lineage *lineage;
	uint32_t timeline;
};

static void
take_reached(struct ha_lineage *l, const char *value)
{
	uint64_t lsn = 0;

	if (ha_lsn_read(value, &lsn) && lsn > l->reached)
		l->reached = lsn;
}

static void
take_control(char *line, void *arg)
{
	struct control *c = arg;
	struct ha_lineage *l = c->lineage;
	char *value = strchr(line, ':');

	if (!value)
		return;
	*value++ = '\0';
	value += strspn(value, " ");
	if (strcmp(line, "Database system identifier") == 0)
		snprintf(l->system_id, sizeof(l->system_id), "%s", value);
	else if (strcmp(line, "Bytes per WAL segment") == 0)
		l->segment_bytes = strtoll(value, NULL, 10);
	else if (strcmp(line, "Latest checkpoint location") == 0 ||
		 strcmp(line, "Minimum recovery ending location") == 0)
		take_reached(l, value);
	else if (strcmp(line, "Database cluster state") == 0)
		l->follows = strcmp(value, "shut down in recovery") == 0 ||
			     strcmp(value, "in archive recovery") == 0;
	else if (strcmp(line, "Latest checkpoint's TimeLineID") == 0)
		c->timeline = (uint32_t)strtoul(value, NULL, 10);
}

static int
read_control(struct ha_lineage *l, const char *directory, uint32_t *timeline,
	     struct verr *e)
{
	struct control c = { .lineage = l };
	char path[PATH_MAX];
	const char *const words[] = { path, directory, NULL };
	const char *const environment[] = { "LC_ALL=C", NULL };
	int status;

	snprintf(path, sizeof(path), "%s/pg_controldata",
		 conf_str("postgresql_bin_dir"));
	status = command_run_lines(words, environment, CONTROL_MS, take_control,
				   &c, e);
	if (status == -1)
		return -1;
	*timeline = c.timeline;
	if (status || !*l->system_id || !c.timeline || !l->reached ||
	    l->segment_bytes < (1 << 20))
		return verr_set(e, VERR_INPUT,
				"'%s' is no data directory that pg_controldata "
				"of '%s' can read",
				directory, conf_str("postgresql_bin_dir"));
	return 0;
}

static int
latest_timeline(const char *directory, uint32_t *latest, struct verr *e)
{
	char path[PATH_MAX], head[9] = "";
	const struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/pg_wal", directory);
	dir = opendir(path);
	if (!dir)
		return verr_sys(e, VERR_INPUT, "cannot read '%s'", path);
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;
		uint32_t id;

		if (strspn(name, "0123456789ABCDEF") != 24 || name[24])
			continue;
		memcpy(head, name, 8);
		id = (uint32_t)strtoul(head, NULL, 16);
		if (id > *latest)
			*latest = id;
	}
	closedir(dir);
	return 0;
}

int
ha_lineage_of_directory(struct ha_lineage *l, const char *directory,
			struct verr *e)
{
	struct verr why = VERR_INIT;
	struct buf text = BUF_INIT;
	char path[PATH_MAX];
	uint32_t latest;
	int rc = 0;

	*l = (struct ha_lineage){ 0 };
	if (read_control(l, directory, &latest, e) == -1 ||
	    latest_timeline(directory, &latest, e) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/pg_wal/%08" PRIX32 ".history",
		 directory, latest);
	/* The first timeline has no history, and needs none. */
	if (latest > 1 && file_read(path, HISTORY_MAX, &text, &why) == -1) {
		*e = why;
		rc = verr_wrap(e, "timeline %" PRIu32 " of '%s'", latest,
			       directory);
	}
	if (rc == 0)
		rc = take_history(l, text.data, latest, e);
	buf_release(&text);
	return rc;
}

/* --- a server --------------------------------------------------------- */

static const char server_sql[] =
	"with n as (select case when pg_is_in_recovery()"
	" then coalesce((select received_tli from pg_stat_wal_receiver),"
	" (select timeline_id from pg_control_checkpoint()))"
	" else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))"
	"::bit(32)::integer end as id)"
	" select n.id, s.system_identifier, case when n.id > 1 then"
	" convert_from(pg_read_binary_file('pg_wal/'"
	" || lpad(upper(to_hex(n.id)), 8, '0') || '.history'), 'UTF8')"
	" else '' end from n cross join pg_control_system() as s";

int
ha_lineage_of_server(struct ha_lineage *l, struct db *db, struct verr *e)
{
	struct db_result *r = NULL;
	int rc = -1;

	*l = (struct ha_lineage){ 0 };
	if (db_query(db, &r, server_sql, 0, NULL, e) == -1)
		return verr_wrap(e, "the other side's history");
	if (db_rows(r) == 1 && db_value(r, 0, 0) && db_value(r, 0, 2)) {
		snprintf(l->system_id, sizeof(l->system_id), "%s",
			 db_value(r, 0, 1));
		rc = take_history(
			l, db_value(r, 0, 2),
			(uint32_t)strtoul(db_value(r, 0, 0), NULL, 10), e);
	} else {
		verr_set(e, VERR_RETRY, "the other side tells no history");
	}
	db_result_free(r);
	return rc;
}

/* --- both ------------------------------------------------------------- */

int
ha_lineage_fork(const struct ha_lineage *own, const struct ha_lineage *other,
		uint64_t *lsn, size_t *place, struct verr *e)
{
	const struct ha_timeline *a = own->timelines, *b = other->timelines;
	size_t n = 0;

	if (strcmp(own->system_id, other->system_id) != 0)
		return verr_set(e, VERR_CONFLICT,
				"the system identifiers differ (%s, %s): these "
				"servers never were a pair",
				own->system_id, other->system_id);
	while (n < own->count && n < other->count && a[n].id == b[n].id &&
	       a[n].begin == b[n].begin)
		n++;
	if (n == 0)
		return verr_set(e, VERR_INPUT,
				"the two servers have no timeline in common");
	n--;
	*place = n;
	*lsn = a[n].end < b[n].end ? a[n].end : b[n].end;
	/* The other goes on where we end: we are behind, not apart. */
	if (n == own->count - 1 && b[n].end == UINT64_MAX)
		*lsn = UINT64_MAX;
	return 0;
}

int
ha_lineage_part(struct ha_lineage *own, const char *directory, struct db *other,
		uint64_t *lsn, size_t *place, struct verr *e)
{
	struct ha_lineage theirs;

	if (ha_lineage_of_directory(own, directory, e) == -1 ||
	    ha_lineage_of_server(&theirs, other, e) == -1)
		return -1;
	return ha_lineage_fork(own, &theirs, lsn, place, e);
}
