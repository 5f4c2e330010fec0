#include "doctor.h"

const struct out_column doctor_columns[DOCTOR_COLUMNS] = {
	{ "severity", OUT_SEVERITY }, { "check", OUT_TEXT },
	{ "entity", OUT_TEXT },       { "key", OUT_TEXT },
	{ "what", OUT_TEXT },         { "hint", OUT_TEXT },
	{ "fixed", OUT_BOOL },
};

void
doctor_found(struct doctor *d, const struct doctor_check *k, const char *entity,
	     const char *id, const char *key, const char *what)
{
	bool fixes = d->fix && k->fix && id;

	out_row(d->out, (const char *const[DOCTOR_COLUMNS]){
				k->severity, k->name, entity, key, what,
				k->hint, fixes ? "true" : "false" });
	d->found++;
	if (!fixes)
		return;
	d->fixed++;
	buf_printf(&d->ids, "%s%s", d->ids.len ? "," : "{", id);
}

static int
run_sql(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	struct db_result *r = NULL;

	if (db_query(d->db, &r, k->sql, 1,
		     (struct db_param[]){ DB_TEXT(d->domain) }, e) == -1)
		return -1;
	for (int i = 0; i < db_rows(r); i++)
		doctor_found(d, k,
			     db_columns(r) > 3 ? db_value(r, i, 3) : k->entity,
			     db_value(r, i, 0), db_value(r, i, 1),
			     db_value(r, i, 2));
	db_result_free(r);
	return 0;
}

static int
mend(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	buf_puts(&d->ids, "}");
	if (buf_failed(&d->ids))
		return verr_set(e, VERR_RETRY, "out of memory");
	return db_query(d->db, NULL, k->fix, 1,
			(struct db_param[]){ DB_TEXT(d->ids.data) }, e);
}

int
doctor_run(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	int rc;

	buf_release(&d->ids);
	rc = k->sql ? run_sql(d, k, e) : k->run(d, k, e);
	if (rc == 0 && d->ids.len)
		rc = mend(d, k, e);
	buf_release(&d->ids);
	return rc == 0 ? 0 : verr_wrap(e, "check '%s'", k->name);
}
