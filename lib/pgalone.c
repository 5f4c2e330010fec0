#include "pgalone.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "conf.h"
#include "filereplace.h"
#include "halineage.h"
#include "log.h"
#include "loop.h"
#include "pgnode.h"

#define POLL_MS   10
#define STOP_MS   INT64_C(60000)
#define KILL_MS   INT64_C(5000)
#define LOG_MAX   ((size_t)16 << 20)
#define SOCKET    "/.s.PGSQL.5432"
#define WORDS_MAX 80

/* clang-format off */
/* Over whatever its configuration says. */
static const char *const alone[] = {
	/* nobody gets in, nothing gets out */
	"listen_addresses=", "port=5432", "ssl=off",
	"unix_socket_permissions=0700",
	"primary_conninfo=", "primary_slot_name=", "restore_command=",
	"archive_mode=off", "archive_cleanup_command=",
	"recovery_end_command=", "synchronous_standby_names=",
	/* to the end of its own WAL, and then it waits */
	"hot_standby=on", "recovery_target=", "recovery_target_lsn=",
	"recovery_target_name=", "recovery_target_time=",
	"recovery_target_xid=", "recovery_min_apply_delay=0",
	"max_standby_streaming_delay=-1", "max_standby_archive_delay=-1",
	/* nothing of the site's */
	"external_pid_file=", "shared_preload_libraries=",
	"session_preload_libraries=", "local_preload_libraries=",
	"logging_collector=off", "log_destination=stderr",
	"log_min_messages=warning", "cluster_name=voip-alone",
	"default_transaction_read_only=on",
	/* it starts at once, beside whatever else needs memory */
	"shared_buffers=64MB", "huge_pages=off", "jit=off",
	NULL,
};

/* By whom initdb may have been run; the last one is ours, without all rights. */
static const char *const users[] = { "postgres", "voip_failover" };
/* clang-format on */

/* --- its directory ---------------------------------------------------- */

static int
own_by(const char *path, const struct stat *owner, struct verr *e)
{
	if (getuid() == 0 && chown(path, owner->st_uid, owner->st_gid) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot give '%s' away", path);
	return 0;
}

static int
make_run(struct pgalone *a, const struct stat *owner, struct verr *e)
{
	static const char hba[] = "local all all trust\n";
	char path[PATH_MAX + 16];

	snprintf(a->run, sizeof(a->run), "%s/voip-alone",
		 conf_str("failover_state_dir"));
	if (strlen(a->run) + strlen(SOCKET) >=
	    sizeof(((struct sockaddr_un *)0)->sun_path))
		return verr_set(e, VERR_CONFIG,
				"'%s' is too long for the name of a socket\n"
				"hint: give 'failover_state_dir' a shorter one",
				a->run);
	if (mkdir(a->run, 0700) == -1 && errno != EEXIST)
		return verr_sys(e, VERR_CONFIG, "cannot make '%s'", a->run);
	if (chmod(a->run, 0700) == -1)
		return verr_sys(e, VERR_CONFIG, "cannot close '%s' to others",
				a->run);
	snprintf(path, sizeof(path), "%s%s.lock", a->run, SOCKET);
	unlink(path);
	snprintf(path, sizeof(path), "%s/pg_hba.conf", a->run);
	if (file_replace(path, hba, strlen(hba), 0600, false, e) == -1)
		return -1;
	return own_by(path, owner, e) == -1 ? -1 : own_by(a->run, owner, e);
}

static int
mark(const struct pgalone *a, const struct stat *owner, struct verr *e)
{
	char path[PATH_MAX + 24];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/standby.signal", a->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || fsync(fd) == -1)
		rc = verr_sys(e, VERR_SYSTEM, "cannot make '%s'", path);
	if (fd != -1)
		close(fd);
	return rc ? rc : own_by(path, owner, e);
}

/* --- the process ------------------------------------------------------ */

static void
add(const char **words, size_t *n, const char *word)
{
	if (*n < WORDS_MAX - 1) {
		words[(*n)++] = "-c";
		words[(*n)++] = word;
	}
}

static void
become(const struct pgalone *a, uint32_t timeline, const struct stat *owner,
       pid_t parent)
{
	char program[PATH_MAX], config[PATH_MAX + 16], data[PATH_MAX + 16];
	char run[PATH_MAX + 32], hba[PATH_MAX + 32], target[64];
	char log[PATH_MAX + 8];
	const char *words[WORDS_MAX + 1] = { program, "-D", a->directory };
	size_t n = 3;
	int null = open("/dev/null", O_RDONLY), out;
	sigset_t none;

	snprintf(program, sizeof(program), "%s/postgres",
		 conf_str("postgresql_bin_dir"));
	snprintf(config, sizeof(config), "config_file=%s",
		 conf_str("postgresql_config_file"));
	snprintf(data, sizeof(data), "data_directory=%s", a->directory);
	snprintf(run, sizeof(run), "unix_socket_directories=%s", a->run);
	snprintf(hba, sizeof(hba), "hba_file=%s/pg_hba.conf", a->run);
	snprintf(target, sizeof(target), "recovery_target_timeline=%" PRIu32,
		 timeline);
	snprintf(log, sizeof(log), "%s/log", a->run);
	if (*conf_str("postgresql_config_file"))
		add(words, &n, config);
	add(words, &n, data);
	add(words, &n, run);
	add(words, &n, hba);
	add(words, &n, target);
	for (const char *const *s = alone; *s; s++)
		add(words, &n, *s);
	words[n] = NULL;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	umask(077);
	/* PostgreSQL refuses root. */
	if (getuid() == 0 &&
	    (setgroups(0, NULL) == -1 || setgid(owner->st_gid) == -1 ||
	     setuid(owner->st_uid) == -1))
		_exit(127);
	unlink(log);
	out = open(log, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (null == -1 || out == -1 || dup2(null, STDIN_FILENO) == -1 ||
	    dup2(out, STDOUT_FILENO) == -1 || dup2(out, STDERR_FILENO) == -1)
		_exit(127);
	setenv("LC_ALL", "C", 1);
	unsetenv("PGDATA");
	/* Not a moment longer than whoever wanted it. */
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (getppid() != parent)
		_exit(127);
	execv(program, (char *const *)(uintptr_t)words);
	_exit(127);
}

static bool
has_ended(struct pgalone *a)
{
	if (a->pid && waitpid(a->pid, NULL, WNOHANG) == a->pid)
		a->pid = 0;
	return !a->pid;
}

/* What PostgreSQL said last, without its time. */
static void
last_words(const struct pgalone *a, char *words, size_t size)
{
	struct buf text = BUF_INIT;
	struct verr ignored = VERR_INIT;
	char path[PATH_MAX + 8], *line, *fatal;

	snprintf(path, sizeof(path), "%s/log", a->run);
	snprintf(words, size, "see '%.300s'", path);
	if (file_read(path, LOG_MAX, &text, &ignored) == 0) {
		while (text.len && text.data[text.len - 1] == '\n')
			text.data[--text.len] = '\0';
		line = strrchr(text.data, '\n');
		line = line ? line + 1 : text.data;
		for (char *at = text.data; (fatal = strstr(at, "FATAL:"));
		     at = fatal + 1)
			line = fatal;
		if (*line)
			snprintf(words, size, "%.*s", (int)strcspn(line, "\n"),
				 line);
	}
	buf_release(&text);
}

static int
cannot(const struct pgalone *a, struct verr *e)
{
	char words[400];

	last_words(a, words, sizeof(words));
	return verr_set(e, VERR_INPUT, "'%s' cannot be recovered: %s",
			a->directory, words);
}

/* --- a connection ----------------------------------------------------- */

/* NULL with `e` set as long as it takes none. */
static struct db *
connect_to(const struct pgalone *a, const char *dbname, struct verr *e)
{
	struct buf conninfo = BUF_INIT;
	struct db *db = NULL;

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		struct db_options o = {
			.dbname = dbname,
			.session_attrs = "any",
			.retry = DB_RETRY_NEVER,
			.timeout_ms = STOP_MS,
		};
		struct db_server server;
		bool unknown;

		buf_clear(&conninfo);
		buf_printf(&conninfo,
			   "host='%s' port=5432 user=%s sslmode=disable "
			   "options=-ctimezone=UTC",
			   a->run, users[i]);
		if (buf_failed(&conninfo)) {
			verr_set(e, VERR_RETRY, "out of memory");
			break;
		}
		o.conninfo = conninfo.data;
		*e = VERR_INIT;
		db = db_new(&o, e);
		if (!db || db_connect(db, &server, e) == 0)
			break;
		unknown = strncmp(db_sqlstate(db), "28", 2) == 0;
		db_free(db);
		db = NULL;
		if (!unknown)
			break;
	}
	buf_release(&conninfo);
	return db;
}

/* 1: it has replayed what there is, 0: not yet. */
static int
is_there(struct db *db, uint64_t lsn, struct verr *e)
{
	char text[HA_LSN_TEXT];
	const struct db_param p[] = { DB_TEXT(text) };
	struct db_result *r = NULL;
	int there;

	ha_lsn_text(text, lsn);
	if (db_query(db, &r, "select pg_last_wal_replay_lsn() > $1::pg_lsn", 1,
		     p, e) == -1)
		return -1;
	there = db_rows(r) == 1 && db_is_true(r, 0, 0);
	db_result_free(r);
	return there;
}

static int
await(struct pgalone *a, uint64_t lsn, const char *dbname, int64_t end,
      struct db **db, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	struct verr why = VERR_INIT;
	int there = 0;

	while (there == 0) {
		if (has_ended(a))
			return cannot(a, e);
		if (loop_now_ms() >= end)
			return verr_set(e, VERR_RETRY,
					"'%s' is not recovered in time%s%.300s",
					a->directory, *why.msg ? ": " : "",
					why.msg);
		if (!*db)
			*db = connect_to(a, dbname, &why);
		if (*db)
			there = is_there(*db, lsn, e);
		if (there == 0)
			nanosleep(&pause, NULL);
	}
	return there == 1 ? 0 : -1;
}

int
pgalone_clear(const char *directory, struct verr *e)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t end = loop_now_ms() + KILL_MS;
	struct pgnode_postmaster p;

	for (;;) {
		if (pgnode_postmaster(directory, &p, e) == -1)
			return -1;
		if (!p.pid)
			return 0;
		if (!p.alone || loop_now_ms() >= end)
			return verr_set(e, VERR_CONFLICT,
					"a server runs in '%s' (process %ld)\n"
					"hint: 'voip-failover demote' stops "
					"that of this node",
					directory, (long)p.pid);
		kill(p.pid, SIGQUIT);
		nanosleep(&pause, NULL);
	}
}

int
pgalone_start(struct pgalone *a, const char *directory, uint32_t timeline,
	      uint64_t lsn, const char *dbname, int64_t timeout_ms,
	      struct db **db, struct verr *e)
{
	int64_t end = loop_now_ms() + timeout_ms;
	pid_t parent = getpid();
	struct stat owner;

	*a = (struct pgalone){ 0 };
	*db = NULL;
	if (!realpath(directory, a->directory) ||
	    stat(a->directory, &owner) == -1)
		return verr_sys(e, VERR_INPUT, "cannot look at '%s'",
				directory);
	if (pgalone_clear(a->directory, e) == -1 ||
	    make_run(a, &owner, e) == -1 || mark(a, &owner, e) == -1)
		return -1;
	a->pid = fork();
	if (a->pid == 0)
		become(a, timeline, &owner, parent);
	if (a->pid == -1) {
		a->pid = 0;
		return verr_sys(e, VERR_SYSTEM, "cannot start PostgreSQL");
	}
	return await(a, lsn, dbname, end, db, e);
}

void
pgalone_stop(struct pgalone *a)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t begin = loop_now_ms(), end = begin + STOP_MS;
	int sig = SIGINT;

	if (!a->pid)
		return;
	kill(a->pid, sig);
	while (!has_ended(a)) {
		if (loop_now_ms() >= end) {
			log_warning("the server in '%s' does not stop, it is "
				    "killed",
				    a->directory);
			sig = sig == SIGINT ? SIGQUIT : SIGKILL;
			kill(sig == SIGKILL ? -a->pid : a->pid, sig);
			end = loop_now_ms() + KILL_MS;
		}
		nanosleep(&pause, NULL);
	}
}
