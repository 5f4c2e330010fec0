#include "probe.h"

#include <string.h>

#include "conf.h"
#include "db.h"

/* A leg whose time has no partition is kept, but nothing makes it old. */
void
probe_partitions(const struct probe *p, struct probe_result *r)
{
	struct db_options o = { .conninfo = conf_str(p->setting),
				.role = "voip_health",
				.session_attrs = "any",
				.retry = DB_RETRY_NEVER,
				.timeout_ms = p->timeout_ms };
	struct db_result *rows = NULL;
	struct verr e = VERR_INIT;
	struct db *db = db_new(&o, &e);

	if (!db || db_query(db, &rows,
			    "select sum(rows), sum(rows) > 0, min(oldest)"
			    " from monitoring.cdr_default",
			    0, NULL, &e) == -1)
		probe_found(r,
			    db && (strcmp(db_sqlstate(db), "42P01") == 0 ||
				   strcmp(db_sqlstate(db), "42501") == 0)
				    ? PROBE_OFF
				    : PROBE_FAILED,
			    "%s", e.msg);
	else if (db_is_true(rows, 0, 1))
		probe_found(r, PROBE_WARNING,
			    "%s rows without a partition, since %s",
			    db_value(rows, 0, 0), db_value(rows, 0, 2));
	else
		probe_found(r, PROBE_OK, "each row has its partition");
	db_result_free(rows);
	db_free(db);
}
