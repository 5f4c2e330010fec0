/* db-tool: the database module from the shell, for tests and benchmarks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "loop.h"
#include "opt.h"

static char *attrs;
static char *session;
static int timeout_ms;
static int window = 1;

static struct poptOption options[] = {
	{ "attrs", '\0', POPT_ARG_STRING, &attrs, 0,
	  "use only a server with these session attributes", "ATTRS" },
	{ "session", '\0', POPT_ARG_STRING, &session, 0,
	  "run this after each connect", "SQL" },
	{ "timeout", '\0', POPT_ARG_INT, &timeout_ms, 0,
	  "wait at most MS for an answer", "MS" },
	{ "window", '\0', POPT_ARG_INT, &window, 0, "have N requests under way",
	  "N" },
	POPT_TABLEEND
};

static struct db *
open_db(struct verr *e)
{
	const char *const session_sql[] = { session, NULL };
	struct db_options o = { .session_attrs = attrs,
				.timeout_ms = timeout_ms,
				.session_sql = session_sql };

	return db_new(&o, e);
}

static void
print_rows(const struct db_result *r)
{
	for (int row = 0; row < db_rows(r); row++)
		for (int c = 0; c < db_columns(r); c++)
			printf("%s%c",
			       db_value(r, row, c) ? db_value(r, row, c)
						   : "\\N",
			       c + 1 < db_columns(r) ? '\t' : '\n');
}

static int
cmd_query(int argc, const char **argv, struct verr *e)
{
	struct db_param params[16];
	struct db_result *r = NULL;
	struct db *db = open_db(e);
	int rc;

	if (!db)
		return -1;
	for (int i = 1; i < argc && i < 16; i++)
		params[i - 1] = DB_TEXT(argv[i]);
	rc = db_query(db, &r, argv[0], argc - 1, params, e);
	if (rc == 0)
		print_rows(r);
	else
		fprintf(stderr, "sqlstate %s\n", db_sqlstate(db));
	db_result_free(r);
	db_free(db);
	return rc;
}

static int
cmd_server(int argc, const char **argv, struct verr *e)
{
	struct db_server s;
	struct db *db = open_db(e);
	int rc;

	(void)argc;
	(void)argv;
	if (!db)
		return -1;
	rc = db_connect(db, &s, e);
	if (rc == 0)
		printf("%d %s %s %s\n", s.version,
		       s.in_recovery ? "standby" : "primary",
		       s.read_only ? "read-only" : "read-write", s.host);
	db_free(db);
	return rc;
}

/* Bytes that text could not carry come back the same. */
static int
cmd_array(int argc, const char **argv, struct verr *e)
{
	static const char nasty[] = "a\0b\\c'\"{},\n\xff";
	struct buf bytes = BUF_INIT, numbers = BUF_INIT, back = BUF_INIT;
	struct db_result *r = NULL;
	struct db *db = open_db(e);
	int rc = -1;

	(void)argc;
	(void)argv;
	if (!db)
		return -1;
	db_array_begin(&bytes, DB_ARRAY_BYTEA);
	db_array_add(&bytes, nasty, sizeof(nasty));
	db_array_add_null(&bytes);
	db_array_end(&bytes);
	db_array_begin(&numbers, DB_ARRAY_INT8);
	db_array_add_int8(&numbers, -1);
	db_array_add_int8(&numbers, INT64_C(1) << 40);
	db_array_end(&numbers);
	if (db_query(db, &r,
		     "select b, n from unnest($1::bytea[], $2::int8[])"
		     " as t (b, n)",
		     2,
		     (struct db_param[]){ DB_BYTES(bytes.data, bytes.len),
					  DB_BYTES(numbers.data, numbers.len) },
		     e) == 0 &&
	    db_bytea(r, 0, 0, &back, e) == 0) {
		printf("%s %s %s %s\n",
		       back.len == sizeof(nasty) &&
				       memcmp(back.data, nasty, back.len) == 0
			       ? "same"
			       : "different",
		       db_value(r, 0, 1), db_value(r, 1, 0) ? "value" : "null",
		       db_value(r, 1, 1));
		rc = 0;
	}
	db_result_free(r);
	db_free(db);
	buf_release(&bytes);
	buf_release(&numbers);
	buf_release(&back);
	return rc;
}

/* --- with a loop ------------------------------------------------------ */

static struct {
	struct db *db;
	struct loop *loop;
	const char *sql;
	long to_send;
	long under_way;
	long good;
	long bad;
	struct verr last;
	struct loop_timer timer;
} state;

static void send_more(void);

static void
on_done(struct db_result *r, const struct verr *e, void *arg)
{
	(void)arg;
	state.under_way--;
	if (r)
		state.good++;
	else
		state.bad++;
	if (!r)
		state.last = *e;
	send_more();
}

static void
send_more(void)
{
	while (state.to_send && state.under_way < window) {
		state.to_send--;
		state.under_way++;
		db_send(state.db, state.sql, 0, NULL, timeout_ms, on_done,
			NULL);
	}
	if (!state.to_send && !state.under_way)
		loop_stop(state.loop);
}

static void
on_state(bool up, void *arg)
{
	(void)arg;
	fprintf(stderr, "database %s\n", up ? "up" : "down");
}

static void
on_notify(const char *channel, const char *payload, void *arg)
{
	(void)arg;
	printf("%s %s\n", channel, payload);
	fflush(stdout);
	if (strcmp(payload, "end") == 0)
		loop_stop(state.loop);
}

static int
with_loop(struct verr *e)
{
	state.loop = loop_new(e);
	state.db = state.loop ? open_db(e) : NULL;
	if (!state.db)
		return -1;
	db_attach(state.db, state.loop);
	db_on_state(state.db, on_state, NULL);
	return 0;
}

static void
end_loop(void)
{
	db_free(state.db);
	loop_free(state.loop);
}

static int
cmd_send(int argc, const char **argv, struct verr *e)
{
	int rc;

	(void)argc;
	state.to_send = strtol(argv[0], NULL, 10);
	state.sql = argv[1];
	if (with_loop(e) == -1)
		return -1;
	send_more();
	rc = loop_run(state.loop, e);
	end_loop();
	printf("good %ld bad %ld\n", state.good, state.bad);
	if (rc == 0 && state.bad)
		*e = state.last;
	return rc == 0 && !state.bad ? 0 : -1;
}

static int
cmd_listen(int argc, const char **argv, struct verr *e)
{
	int rc;

	(void)argc;
	if (with_loop(e) == -1)
		return -1;
	db_listen(state.db, argv[0], on_notify, NULL);
	rc = loop_run(state.loop, e);
	end_loop();
	return rc;
}

static const struct opt_command commands[] = {
	{ "array", "", "send binary arrays and compare what comes back", 0, 0,
	  cmd_array },
	{ "listen", "CHANNEL", "print notifications until the payload 'end'", 1,
	  1, cmd_listen },
	{ "query", "SQL [VALUE...]", "print the rows as tab-separated values",
	  1, 16, cmd_query },
	{ "send", "COUNT SQL", "send the statement with a loop", 2, 2,
	  cmd_send },
	{ "server", "", "connect and say what is there", 0, 0, cmd_server },
	{ .name = NULL },
};

static const struct opt_program program = {
	.summary = "Use the database module from the shell.",
	.options = options,
	.commands = commands,
};

int
main(int argc, const char **argv)
{
	return opt_main(argc, argv, &program);
}
