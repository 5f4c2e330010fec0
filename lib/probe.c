#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "conf.h"
#include "db.h"
#include "httpc.h"
#include "loop.h"

/* A drained spool is empty; what is this old was passed over. */
#define SPOOL_OLD_S 300

static void probe_database(const struct probe *p, struct probe_result *r);
static void probe_endpoint(const struct probe *p, struct probe_result *r);
static void probe_spool(const struct probe *p, struct probe_result *r);

/* clang-format off */
const struct probe probes[] = {
	{ "database", PROBE_FATAL, 200, 400, 2, probe_database, "node_database" },
	{ "dirxml", PROBE_FATAL, 5000, 1000, 2, probe_endpoint,
	  "dirxml_listen" },
	{ "cdr-ingest", PROBE_FATAL, 5000, 1000, 2, probe_endpoint,
	  "cdr_listen" },
	{ "cdr-spool", PROBE_DEGRADED, 10000, 1000, 1, probe_spool,
	  "cdr_spool_dir" },
	{ "cdr-partitions", PROBE_SHARED, 60000, 5000, 1, probe_partitions,
	  "node_database" },
	{ .name = NULL },
};
/* clang-format on */

size_t
probe_count(void)
{
	size_t n = 0;

	while (probes[n].name)
		n++;
	return n;
}

const char *
probe_class_word(enum probe_class c)
{
	static const char *const words[] = { "local fatal", "local degraded",
					     "shared" };

	return words[c];
}

const char *
probe_state_word(enum probe_state s)
{
	static const char *const words[] = { "ok", "off", "warning", "failed" };

	return words[s];
}

void
probe_found(struct probe_result *r, enum probe_state state, const char *fmt,
	    ...)
{
	va_list ap;

	r->state = state;
	va_start(ap, fmt);
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
	/* One line: hints are for people at a prompt. */
	r->detail[strcspn(r->detail, "\n")] = '\0';
}

void
probe_value(struct probe_result *r, const char *metric, double value)
{
	for (size_t i = 0; i < PROBE_VALUES; i++)
		if (!r->values[i].metric) {
			r->values[i].metric = metric;
			r->values[i].value = value;
			return;
		}
}

void
probe_run(const struct probe *p, struct probe_result *r)
{
	int64_t start = loop_now_ms();

	memset(r, 0, sizeof(*r));
	p->run(p, r);
	r->took_ms = loop_now_ms() - start;
	r->at = time(NULL);
}

/* --- PostgreSQL ------------------------------------------------------- */

static void
judge_standby(struct db *db, struct probe_result *r)
{
	struct db_result *rows = NULL;
	struct verr e = VERR_INIT;

	r->role = PROBE_STANDBY;
	if (db_query(db, &rows,
		     "select exists (select from pg_stat_wal_receiver "
		     "where status = 'streaming')",
		     0, NULL, &e) == -1)
		probe_found(r, PROBE_FAILED, "%s", e.msg);
	else if (db_rows(rows) == 1 && db_is_true(rows, 0, 0))
		probe_found(r, PROBE_OK, "standby, streaming");
	else
		probe_found(r, PROBE_WARNING, "standby, not streaming");
	db_result_free(rows);
}

/* A connection of its own each time: that one is to be had is half of it. */
static void
probe_database(const struct probe *p, struct probe_result *r)
{
	struct db_options o = { .conninfo = conf_str(p->setting),
				.role = "voip_health",
				.session_attrs = "any",
				.retry = DB_RETRY_NEVER,
				.timeout_ms = p->timeout_ms };
	struct verr e = VERR_INIT;
	struct db_server server = { 0 };
	struct db *db = db_new(&o, &e);

	if (!db || db_connect(db, &server, &e) == -1) {
		probe_found(r, PROBE_FAILED, "%s", e.msg);
	} else if (server.in_recovery) {
		judge_standby(db, r);
	} else {
		r->role = PROBE_PRIMARY;
		probe_found(r, server.read_only ? PROBE_FAILED : PROBE_OK,
			    server.read_only ? "primary, read-only"
					     : "primary, writable");
	}
	r->postmaster = server.postmaster;
	db_free(db);
}

/* --- endpoints -------------------------------------------------------- */

static void
probe_endpoint(const struct probe *p, struct probe_result *r)
{
	struct verr e = VERR_INIT;
	long status = 0;

	if (!*conf_str(p->setting)) {
		probe_found(r, PROBE_OFF, "setting %s is empty", p->setting);
		return;
	}
	if (httpc_get(conf_str(p->setting), "/health", p->timeout_ms, &status,
		      NULL, 0, &e) == -1) {
		probe_found(r, PROBE_FAILED, "%s", e.msg);
		return;
	}
	/* 503: it lives and something that it needs does not, which has a
	 * probe of its own. */
	probe_found(r, status == 200 ? PROBE_OK : PROBE_WARNING,
		    "%s answers %ld", conf_str(p->setting), status);
}

/* --- the spool -------------------------------------------------------- */

struct spool_census {
	int64_t count;
	time_t oldest;
};

static void
count_record(DIR *dir, const char *name, struct spool_census *census)
{
	struct stat st;

	/* The names of records begin with their time. */
	if (!isdigit((unsigned char)name[0]) ||
	    fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		return;
	if (census->count++ == 0 || st.st_mtime < census->oldest)
		census->oldest = st.st_mtime;
}

static void
probe_spool(const struct probe *p, struct probe_result *r)
{
	struct spool_census census = { 0 };
	const char *path = conf_str(p->setting);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int64_t age;

	if (!dir && errno == ENOENT) {
		probe_found(r, PROBE_OK, "empty");
		return;
	}
	if (!dir) {
		probe_found(r, PROBE_FAILED, "cannot read '%.150s': %s", path,
			    strerror(errno));
		return;
	}
	while ((entry = readdir(dir)))
		count_record(dir, entry->d_name, &census);
	closedir(dir);
	age = census.count ? (int64_t)(time(NULL) - census.oldest) : 0;
	if (census.count == 0)
		probe_found(r, PROBE_OK, "empty");
	else
		probe_found(r, age > SPOOL_OLD_S ? PROBE_WARNING : PROBE_OK,
			    "%" PRId64 " waiting, oldest %" PRId64 " s",
			    census.count, age);
}
