/* The CDRs in the database of this node: what waits, and what has no place. */
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "db.h"
#include "probe.h"

/* Ask; when that fails it is said, as `state`, and there are no rows. */
static struct db_result *
ask(const struct probe *p, struct probe_result *r, const char *sql,
    enum probe_state state)
{
	struct db_result *rows = NULL;
	struct verr e = VERR_INIT;
	struct db *db = probe_connection(p, &e);

	if (!db || db_query(db, &rows, sql, 0, NULL, &e) == -1) {
		/* No such table, or not for us: there are no CDRs here. */
		if (db && (strcmp(db_sqlstate(db), "42P01") == 0 ||
			   strcmp(db_sqlstate(db), "42501") == 0))
			state = PROBE_OFF;
		probe_found(r, state, "%s", e.msg);
	}
	db_free(db);
	return rows;
}

void
probe_queue(const struct probe *p, struct probe_result *r)
{
	/* Counting a long queue would take longer than knowing is worth. */
	static const char sql[] =
		"select (select count(*) from"
		"  (select id from voip.cdr_queue limit 100000) as q),"
		" (select extract(epoch from clock_timestamp() - received_at)"
		"  from voip.cdr_queue order by id limit 1)";
	struct db_result *rows = ask(p, r, sql, PROBE_WARNING);
	double records, age, limit = (double)conf_ms("health_queue_age");
	const char *oldest;

	if (!rows)
		return;
	records = strtod(db_value(rows, 0, 0), NULL);
	oldest = db_value(rows, 0, 1);
	age = oldest ? strtod(oldest, NULL) : -1;
	probe_value(r, "voip_cdr_queue_records", records);
	probe_value(r, "voip_cdr_queue_oldest_seconds", age > 0 ? age : 0);
	if (age < 0)
		probe_found(r, PROBE_OK, "empty");
	else
		probe_found(r, age * 1000 > limit ? PROBE_WARNING : PROBE_OK,
			    "%.0f waiting, oldest %.0f s", records, age);
	db_result_free(rows);
}

/* A leg whose time has no partition is kept, but nothing makes it old. */
void
probe_partitions(const struct probe *p, struct probe_result *r)
{
	struct db_result *rows =
		ask(p, r,
		    "select sum(rows), sum(rows) > 0, min(oldest)"
		    " from monitoring.cdr_default",
		    PROBE_FAILED);

	if (!rows)
		return;
	if (db_is_true(rows, 0, 1))
		probe_found(r, PROBE_WARNING,
			    "%s rows without a partition, since %s",
			    db_value(rows, 0, 0), db_value(rows, 0, 2));
	else
		probe_found(r, PROBE_OK, "each row has its partition");
	db_result_free(rows);
}
