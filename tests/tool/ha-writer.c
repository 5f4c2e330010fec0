/*
 * ha-writer: write a row again and again, and say which were acknowledged.
 *
 * usage: ha-writer NAME INTERVAL_MS [fresh | read]
 *
 * Each line: ID BEGIN END WORD NODE, times in seconds since the epoch.  WORD is
 * OK (the commit was acknowledged by NODE), LOST (sent, and nobody knows) or
 * NONE (never sent, or refused).  One connection, or with `fresh` one for each
 * row.  With `read` nothing is written: each line ends with the timeline of the
 * primary that answered, 0 for a standby; `fresh`, too.  Ends at SIGTERM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "db.h"
#include "opt.h"
#include "service.h"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char write_sql[] = "insert into public.w (src, id) values ($1, $2)"
				" returning current_setting('cluster_name')";

/* The parameters only so that there are as many. */
static const char read_sql[] =
	"select concat_ws(' ', current_setting('cluster_name'),"
	" case when pg_is_in_recovery() then 0 else"
	" ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
	" end) where $1::text <> $2::text";

static void
ask(struct db *db, const char *sql, const char *name, long id)
{
	char text[24];
	const struct db_param p[] = { DB_TEXT(name), DB_TEXT(text) };
	struct db_result *r = NULL;
	struct verr e = VERR_INIT;
	double begin = now();
	const char *word = "OK";

	snprintf(text, sizeof(text), "%ld", id);
	if (db_connect(db, NULL, &e) == -1)
		word = "NONE";
	else if (db_query(db, &r, sql, 2, p, &e) == -1)
		word = *db_sqlstate(db) ? "NONE" : "LOST";
	printf("%ld %.6f %.6f %s %s\n", id, begin, now(), word,
	       r ? db_value(r, 0, 0) : "-");
	fflush(stdout);
	db_result_free(r);
}

static int
run(int argc, const char **argv, struct verr *e)
{
	struct db_options o = { .session_attrs = "any",
				.retry = DB_RETRY_NEVER,
				.timeout_ms = 1000 };
	int stop = service_stop_signals(e);
	struct db *db = stop == -1 ? NULL : db_new(&o, e);
	struct signalfd_siginfo signal;
	bool reads = argc == 3 && strcmp(argv[2], "read") == 0;
	long pause_us;

	if (argc < 2 || argc > 3)
		verr_set(e, VERR_USAGE, "NAME and INTERVAL_MS");
	if (!db || argc < 2 || argc > 3) {
		db_free(db);
		return -1;
	}
	pause_us = strtol(argv[1], NULL, 10) * 1000;
	for (long id = 1; db && read(stop, &signal, sizeof(signal)) == -1;
	     id++) {
		ask(db, reads ? read_sql : write_sql, argv[0], id);
		usleep((useconds_t)pause_us);
		if (argc == 3) {
			db_free(db);
			db = db_new(&o, e);
		}
	}
	if (!db)
		return -1;
	db_free(db);
	return 0;
}

int
main(int argc, const char **argv)
{
	static const struct opt_program program = {
		.args = "NAME INTERVAL_MS [fresh | read]",
		.summary = "Write rows until SIGTERM.",
		.run = run,
	};

	return opt_main(argc, argv, &program);
}
