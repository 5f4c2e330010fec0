#include <stdio.h>
#include <string.h>

#include "db_private.h"
#include "metrics.h"

/*
 * SQLSTATE, or the start of one, to what the caller should do; the first row
 * that fits counts.  `fatal`: take another connection, this one is at the
 * wrong server or is being closed.
 */
static const struct {
	const char *prefix;
	enum verr_kind kind;
	bool fatal;
} states[] = {
	{ "08", VERR_RETRY, true },        /* connection exception */
	{ "25006", VERR_RETRY, true },     /* read-only: the writer moved */
	{ "57P", VERR_RETRY, true },       /* shutdown, starting up */
	{ "57", VERR_RETRY, false },       /* cancelled, statement timeout */
	{ "53", VERR_RETRY, false },       /* disk full, out of connections */
	{ "55", VERR_RETRY, false },       /* lock not available */
	{ "40", VERR_RETRY, false },       /* serialization, deadlock */
	{ "26000", VERR_RETRY, true },     /* prepared statement is gone */
	{ "0A000", VERR_RETRY, true },     /* its result type changed */
	{ "23505", VERR_CONFLICT, false }, /* unique */
	{ "23503", VERR_CONFLICT, false }, /* foreign key */
	{ "23001", VERR_CONFLICT, false }, /* restrict */
	{ "23", VERR_INPUT, false },
	{ "22", VERR_INPUT, false },
	{ "P0001", VERR_INPUT, false }, /* raise exception */
	{ "P0002", VERR_NOTFOUND, false },
	{ "42501", VERR_CONFIG, false }, /* privilege */
	{ "28", VERR_CONFIG, false },    /* authentication */
	{ "3D000", VERR_CONFIG, false }, /* no such database */
	{ "42P01", VERR_CONFIG, false }, /* no such table: old schema */
	{ "3F000", VERR_CONFIG, false }, /* no such schema */
	{ "58", VERR_RETRY, false },     /* system error of the server */
	{ "", VERR_BUG, false },
};

static size_t
find(const char *sqlstate)
{
	size_t i = 0;

	while (strncmp(sqlstate, states[i].prefix, strlen(states[i].prefix)))
		i++;
	return i;
}

enum verr_kind
db_error_kind(const char *sqlstate)
{
	return states[find(sqlstate)].kind;
}

bool
db_error_is_fatal(const char *sqlstate)
{
	return states[find(sqlstate)].fatal;
}

void
db_error_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	while (len && strchr("\n\t ", text[len - 1]))
		len--;
	for (size_t i = 0; i < len; i++) {
		bool space = strchr("\n\t ", text[i]);

		if (!space)
			buf_putc(out, text[i]);
		else if (!strchr("\n\t ", text[i + 1]))
			buf_putc(out, ' ');
	}
}

/*
 * The primary message only: DETAIL of a constraint quotes the row, which may
 * hold what must not be shown.
 */
int
db_error_result(struct db *db, const PGresult *r, struct verr *e)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *name = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);

	if (!state)
		return db_error_lost(db, e);
	snprintf(db->sqlstate, sizeof(db->sqlstate), "%s", state);
	if (name)
		return verr_set(e, db_error_kind(state),
				"database: %s [%s, %s]", text ? text : "",
				state, name);
	verr_set(e, db_error_kind(state), "database: %s [%s]", text ? text : "",
		 state);
	if (strcmp(state, "42501") == 0)
		verr_add(
			e,
			"\nhint: the role '%s' may not; roles and their rights "
			"are those of 'voip-schema grant'",
			PQuser(db->conn));
	else if (strcmp(state, "42P01") == 0 || strcmp(state, "3F000") == 0)
		verr_add(e,
			 "\nhint: 'voip-schema status' tells whether database "
			 "'%s' has the schema",
			 PQdb(db->conn));
	return -1;
}

int
db_error_lost(struct db *db, struct verr *e)
{
	struct buf b = BUF_INIT;

	db->sqlstate[0] = '\0';
	metric_add(METRIC_DB_FAILURES, 1);
	db_error_text(&b, db->conn ? PQerrorMessage(db->conn) : "");
	verr_set(e, VERR_RETRY, "lost the connection to the database%s%s",
		 b.len ? ": " : "", b.data);
	buf_release(&b);
	return -1;
}

int
db_error_deadline(int64_t timeout_ms, struct verr *e)
{
	metric_add(METRIC_DB_FAILURES, 1);
	return verr_set(e, VERR_RETRY,
			"the database did not answer within %lld ms",
			(long long)timeout_ms);
}
