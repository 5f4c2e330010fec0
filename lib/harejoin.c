#include "harejoin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "conf.h"
#include "filereplace.h"
#include "hajournal.h"
#include "hakeep.h"
#include "hanode.h"
#include "hapeer.h"
#include "hastray.h"
#include "hatorn.h"
#include "log.h"
#include "loop.h"
#include "pgcontrol.h"

#define COPY_MS   (INT64_C(24) * 3600 * 1000)
#define STREAM_MS INT64_C(60000)
#define POLL_MS   20
/* The peer is asked meanwhile. */
#define PEER_MS    INT64_C(1000)
#define PEER_TRIES 2
#define CONF_MAX   ((size_t)1 << 20)

static const char *
data_directory(void)
{
	return conf_str("postgresql_data_directory");
}

/* A program of PostgreSQL's; what it said last is the error. */
static int
run(const char *program, const char *const *words, struct verr *e)
{
	struct buf said = BUF_INIT;
	char path[PATH_MAX];
	const char *argv[16] = { path };
	char *last;
	size_t n = 1;
	int status;

	snprintf(path, sizeof(path), "%s/%s", conf_str("postgresql_bin_dir"),
		 program);
	while (*words && n < 15)
		argv[n++] = *words++;
	status = command_run_words(argv, NULL, COPY_MS, &said, e);
	while (said.len && said.data[said.len - 1] == '\n')
		said.data[--said.len] = '\0';
	if (status > 0) {
		log_error("%s: %s", program, said.data);
		last = strrchr(said.data, '\n');
		verr_set(e, VERR_SYSTEM, "%s: status %d: %.400s", program,
			 status, last ? last + 1 : said.data);
	}
	buf_release(&said);
	return status ? -1 : 0;
}

/* --- the ways --------------------------------------------------------- */

/* Before it pg_rewind takes the new timeline for the old one. */
static int
checkpoint_peer(struct verr *e)
{
	const struct db_options o = {
		.conninfo = conf_str("peer_replication"),
		.role = "voip_failover",
		.session_attrs = "read-write",
		.retry = DB_RETRY_NEVER,
		.timeout_ms = STREAM_MS,
	};
	struct db *db = db_new(&o, e);
	int rc = db ? db_script(db, "checkpoint", e) : -1;

	db_free(db);
	return rc;
}

/*
 * A crashed server must end its own recovery first.  pg_rewind would do it, but
 * does not find a configuration outside of the data directory.
 */
static int
recover_alone(struct verr *e)
{
	const char *config = conf_str("postgresql_config_file");
	char option[PATH_MAX + 16];
	const char *const words[] = {
		"--single", "-F",   "-D",        data_directory(),
		"-c",       option, "template1", NULL,
	};

	if (*config)
		snprintf(option, sizeof(option), "config_file=%s", config);
	else
		snprintf(option, sizeof(option), "archive_mode=off");
	return run("postgres", words, e);
}

enum end { CLEAN, STANDBY, COPY, CRASHED };

/* pg_basebackup leaves it, and so does pg_rewind; a start takes it away. */
static bool
has_label(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/backup_label", data_directory());
	return access(path, F_OK) == 0;
}

/*
 * How the server ended.  After a clean stop nothing was written that the
 * standby lacks.  A standby that was killed has written nothing of its own, and
 * must not: a recovery without standby.signal would end on its timeline.  Nor
 * must a copy of the peer that never ran, which says "in production" as the
 * peer did.
 */
static enum end
how_it_ended(void)
{
	static const char label[] = "Database cluster state:";
	struct buf said = BUF_INIT;
	struct verr ignored = VERR_INIT;
	char path[PATH_MAX];
	const char *const words[] = { path, data_directory(), NULL };
	const char *const environment[] = { "LC_ALL=C", NULL };
	const char *state = NULL;
	enum end end = CRASHED;

	snprintf(path, sizeof(path), "%s/pg_controldata",
		 conf_str("postgresql_bin_dir"));
	if (command_run_words(words, environment, STREAM_MS, &said, &ignored) ==
	    0)
		state = strstr(said.data, label);
	if (state) {
		state += strlen(label);
		state += strspn(state, " ");
		if (strncmp(state, "shut down", 9) == 0)
			end = CLEAN;
		else if (strncmp(state, "in archive recovery", 19) == 0)
			end = STANDBY;
		else if (strncmp(state, "in production", 13) == 0 &&
			 has_label())
			end = COPY;
	}
	buf_release(&said);
	return end;
}

static int
rewind_directory(struct ha_kept *k, struct verr *e)
{
	const char *const words[] = {
		"--target-pgdata",      data_directory(),
		"--source-server",      conf_str("peer_replication"),
		"--no-ensure-shutdown", NULL,
	};

	enum end end = how_it_ended();
	int rc;

	if (end == STANDBY)
		return 0;
	if (checkpoint_peer(e) == -1)
		return verr_wrap(e, "checkpoint on the peer");
	/* Its own recovery is a primary's; the marker in state.json keeps
	 * everybody else from a start meanwhile. */
	if (end == CRASHED &&
	    (pg_unmark_standby(e) == -1 || recover_alone(e) == -1))
		return -1;
	if (ha_torn_begin(k, e) == -1)
		return -1;
	rc = run("pg_rewind", words, e);
	if (ha_torn_end(k, rc == 0))
		log_error("'%s' is half rewound: it can only be replaced",
			  data_directory());
	return rc;
}

/* How many NAME.TIME there are. */
static int
count_copies(struct verr *e)
{
	char parent[PATH_MAX], *name;
	const struct dirent *entry;
	int count = 0;
	size_t len;
	DIR *dir;

	snprintf(parent, sizeof(parent), "%s", data_directory());
	for (len = strlen(parent); len > 1 && parent[len - 1] == '/';)
		parent[--len] = '\0';
	name = strrchr(parent, '/');
	if (!name)
		return verr_set(e, VERR_CONFIG,
				"'%s' is no absolute path of a data directory",
				data_directory());
	*name++ = '\0';
	len = strlen(name);
	dir = opendir(*parent ? parent : "/");
	if (!dir)
		return verr_sys(e, VERR_SYSTEM, "cannot read '%s'", parent);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, name, len) == 0 &&
		    entry->d_name[len] == '.' &&
		    strspn(entry->d_name + len + 1, "0123456789") >= 10)
			count++;
	closedir(dir);
	return count;
}

/* What lies where the new one is made: of an attempt that was cut off, and
 * perhaps the old directory. */
static int
keep(const char *path, struct verr *e)
{
	long copies = conf_int("rejoin_copies");
	int there = count_copies(e);
	char old[PATH_MAX + 64];
	time_t now = time(NULL);

	if (there == -1 || access(path, F_OK) == -1)
		return there == -1 ? -1 : 0;
	if (there >= copies)
		return verr_set(e, VERR_CONFLICT,
				"%d old data directories are kept beside '%s', "
				"rejoin_copies allows %ld\n"
				"hint: they are '%s.*'; remove what you do not "
				"need",
				there, data_directory(), copies,
				data_directory());
	do
		snprintf(old, sizeof(old), "%s.%lld", data_directory(),
			 (long long)now++);
	while (access(old, F_OK) == 0);
	if (rename(path, old) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot rename '%s' to '%s'",
				path, old);
	log_info("'%s' is kept as '%s'", path, old);
	return 0;
}

/* At no moment is there no data directory. */
static int
change_places(const char *fresh, struct verr *e)
{
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, data_directory(),
		      RENAME_EXCHANGE) == 0)
		return keep(fresh, e);
	if (errno != EINVAL && errno != ENOSYS)
		return verr_sys(e, VERR_SYSTEM,
				"'%s' and '%s' cannot change places", fresh,
				data_directory());
	if (keep(data_directory(), e) == -1)
		return -1;
	if (rename(fresh, data_directory()) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot rename '%s' to '%s'",
				fresh, data_directory());
	return 0;
}

static void
fresh_path(char fresh[PATH_MAX])
{
	snprintf(fresh, PATH_MAX, "%s.new", data_directory());
}

static int
clone_directory(struct verr *e)
{
	char fresh[PATH_MAX];
	const char *const words[] = {
		"-D", fresh,    "-d", conf_str("peer_replication"),
		"-X", "stream", "-c", "fast",
		NULL,
	};
	int copies;

	fresh_path(fresh);
	if (keep(fresh, e) == -1)
		return -1;
	copies = count_copies(e);
	if (copies == -1)
		return -1;
	/* Before the work, not after it. */
	if (copies >= conf_int("rejoin_copies"))
		return verr_set(e, VERR_CONFLICT,
				"no room for another copy of '%s': there are "
				"%d, rejoin_copies allows no more\n"
				"hint: remove what you do not need of '%s.*'",
				data_directory(), copies, data_directory());
	if (run("pg_basebackup", words, e) == -1)
		return -1;
	return change_places(fresh, e);
}

/* --- following -------------------------------------------------------- */

static void
add_setting(struct buf *b, const char *name, const char *value)
{
	if (!*value)
		return;
	buf_printf(b, "%s = '", name);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_putc(b, *value);
		buf_putc(b, *value);
	}
	buf_puts(b, "'\n");
}

static bool
is_ours(const char *line)
{
	static const char *const names[] = { "primary_conninfo",
					     "primary_slot_name" };

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(names[i]);

		if (strncmp(line, names[i], len) == 0 &&
		    strchr(" =\t", line[len]))
			return true;
	}
	return false;
}

/* As libpq wants one that has spaces or quotes. */
static void
add_name(struct buf *b, const char *name)
{
	buf_puts(b, " application_name='");
	for (; *name; name++) {
		if (*name == '\'' || *name == '\\')
			buf_putc(b, '\\');
		buf_putc(b, *name);
	}
	buf_putc(b, '\'');
}

/* pg_rewind and pg_basebackup bring the other side's with them. */
static int
write_conninfo(struct verr *e)
{
	struct buf before = BUF_INIT, after = BUF_INIT, conninfo = BUF_INIT;
	char path[PATH_MAX], name[64];
	struct stat st;
	int rc;

	snprintf(path, sizeof(path), "%s/postgresql.auto.conf",
		 data_directory());
	ha_node_name(name, sizeof(name));
	rc = file_read(path, CONF_MAX, &before, e);
	for (char *line = before.data; rc == 0 && *line;) {
		size_t len = strcspn(line, "\n");

		if (!is_ours(line)) {
			buf_add(&after, line, len);
			buf_putc(&after, '\n');
		}
		line += len + (line[len] == '\n');
	}
	buf_puts(&conninfo, conf_str("peer_replication"));
	add_name(&conninfo, name);
	add_setting(&after, "primary_conninfo", conninfo.data);
	add_setting(&after, "primary_slot_name", conf_str("own_slot"));
	if (rc == 0 && (buf_failed(&after) || buf_failed(&conninfo)))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (rc == 0 && stat(path, &st) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot look at '%s'", path);
	if (rc == 0)
		rc = file_replace(path, after.data, after.len,
				  st.st_mode & 0777, true, e);
	if (rc == 0 && getuid() == 0 && chown(path, st.st_uid, st.st_gid) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot give '%s' away", path);
	buf_release(&before);
	buf_release(&after);
	buf_release(&conninfo);
	return rc;
}

/* keepalived may need this node while it waits for one that is no primary any
 * more, or is no more at all. */
static int
look_at_peer(int *in_vain, struct verr *e)
{
	struct verr why = VERR_INIT;
	struct ha_state peer;

	if (ha_peer_ask(HA_ASK_STATE, conf_ms("peer_timeout"), &peer, &why) ==
	    -1) {
		if (++*in_vain < PEER_TRIES)
			return 0;
		return verr_set(e, VERR_RETRY, "the peer: %.400s", why.msg);
	}
	*in_vain = 0;
	if (peer.pg == HA_PG_PRIMARY || peer.pg == HA_PG_HUNG)
		return 0;
	return verr_set(e, VERR_RETRY, "the peer is a %s by now",
			ha_state_role(&peer));
}

static int
await_streaming(struct ha_state *s, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + STREAM_MS;
	int64_t ask = loop_now_ms() + PEER_MS;
	int in_vain = 0;

	for (;;) {
		if (ha_state_look(s, STREAM_MS, e) == -1)
			return -1;
		if (s->pg == HA_PG_STANDBY && s->streaming)
			return 0;
		if (*conf_str("peer_address") && loop_now_ms() >= ask) {
			if (look_at_peer(&in_vain, e) == -1)
				return -1;
			ask = loop_now_ms() + PEER_MS;
		}
		if (loop_now_ms() >= end)
			return verr_set(e, VERR_RETRY,
					"it does not stream from the peer: "
					"%.300s",
					*s->why ? s->why
						: "see PostgreSQL's log");
		nanosleep(&pause, NULL);
	}
}

static int
follow(struct ha_journal *j, struct ha_state *s, struct verr *e)
{
	if (ha_journal_step(j, "follow", e) == -1 || write_conninfo(e) == -1 ||
	    pg_mark_standby(e) == -1 ||
	    ha_journal_step(j, "start postgresql", e) == -1 ||
	    pg_start(e) == -1 || ha_journal_step(j, "stream", e) == -1)
		return -1;
	return await_streaming(s, e);
}

static bool
may_clone(const char *policy)
{
	return strcmp(policy ? policy : conf_str("rejoin_policy"), "reclone") ==
	       0;
}

static int
reclone(struct ha_journal *j, struct verr *e)
{
	if (ha_journal_step(j, "reclone", e) == -1 || clone_directory(e) == -1)
		return -1;
	*j->kept->torn = '\0';
	return 0;
}

/* Instead of what has failed. */
static int
reclone_instead(struct ha_journal *j, struct verr *e)
{
	log_warning("%s", e->msg);
	*e = VERR_INIT;
	return reclone(j, e);
}

static int
bring_back(struct ha_journal *j, bool torn, const char *policy, struct verr *e)
{
	bool may_rewind = !torn && (!policy || strcmp(policy, "reclone") != 0);
	char fresh[PATH_MAX];
	int kept;

	/* It was cut off when the two had changed places. */
	if (how_it_ended() == COPY) {
		fresh_path(fresh);
		return ha_journal_step(j, "reclone", e) == -1 ? -1
							      : keep(fresh, e);
	}
	/* Before it was rewound its rows were saved. */
	kept = torn ? 1 : ha_keep_rows(j, data_directory(), e);
	if (kept == -1)
		return -1;
	/* What could not be taken from the old directory stays in it. */
	if (kept == 0)
		may_rewind = false;
	if (may_rewind) {
		if (ha_journal_step(j, "rewind", e) == -1)
			return -1;
		if (rewind_directory(j->kept, e) == 0)
			return 0;
		return may_clone(policy) ? reclone_instead(j, e) : -1;
	}
	return reclone(j, e);
}

static int
replace(struct ha_journal *j, struct ha_state *s, const char *policy,
	struct verr *e)
{
	if (!may_clone(policy))
		return verr_set(e, VERR_CONFLICT,
				"'%s' waits for WAL that the peer never had: "
				"it can only be replaced\n"
				"hint: voip-failover rejoin --policy reclone",
				data_directory());
	return reclone_instead(j, e) == -1 ? -1 : follow(j, s, e);
}

int
ha_rejoin(struct ha_state *s, const char *policy, const char *why,
	  struct verr *e)
{
	bool torn = ha_torn_is(&s->kept);
	struct ha_journal j;
	int rc;

	if (!policy && strcmp(conf_str("rejoin_policy"), "stop") == 0)
		return verr_set(e, VERR_CONFLICT,
				"rejoin_policy is 'stop': an operator brings "
				"this node back\n"
				"hint: voip-failover rejoin --policy rewind");
	if (torn && !may_clone(policy))
		return verr_set(e, VERR_CONFLICT,
				"'%s' was left half rewound: it can only be "
				"replaced\n"
				"hint: voip-failover rejoin --policy reclone",
				data_directory());
	if (!*conf_str("peer_replication"))
		return verr_set(e, VERR_CONFIG,
				"setting 'peer_replication' is empty: where "
				"would this node come back from?");
	/* It must not start as a primary while this is at work. */
	s->kept.fenced = true;
	if (ha_journal_begin(&j, &s->kept, HA_REJOIN, why, e) == -1)
		return -1;
	rc = s->pg == HA_PG_STANDBY ? pg_stop(e) : 0;
	if (rc == 0)
		rc = bring_back(&j, torn, policy, e);
	if (rc == 0)
		rc = follow(&j, s, e);
	if (rc == -1 && ha_is_stranded())
		rc = replace(&j, s, policy, e);
	if (rc == 0) {
		s->kept.fenced = s->kept.trusted = s->kept.held = false;
		s->kept.generation = s->timeline;
	}
	ha_journal_end(&j, rc ? e->msg : NULL, e);
	return rc;
}
