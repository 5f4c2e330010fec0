/* Patterns against each other, and against the emergency numbers. */
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "pattern.h"

struct row {
	const char *id, *domain, *text; /* of the result */
	struct pattern pattern;
};

/* Rows of id, domain and pattern; the caller frees it. */
static struct row *
parse(const struct db_result *r, struct verr *e)
{
	struct row *rows = calloc((size_t)db_rows(r) + 1, sizeof(*rows));

	if (!rows)
		verr_set(e, VERR_RETRY, "out of memory");
	for (int i = 0; rows && i < db_rows(r); i++) {
		rows[i].id = db_value(r, i, 0);
		rows[i].domain = db_value(r, i, 1);
		rows[i].text = db_value(r, i, 2);
		pattern_parse(&rows[i].pattern, rows[i].text);
	}
	return rows;
}

static void
report(struct doctor *d, const struct doctor_check *k, const struct row *row,
       const char *first)
{
	struct buf key = BUF_INIT, what = BUF_INIT;

	buf_printf(&key, "%s@%s", row->text, row->domain);
	buf_printf(&what, "%s takes all of its numbers first", first);
	doctor_found(d, k, k->entity, row->id, key.data, what.data);
	buf_release(&key);
	buf_release(&what);
}

/* Of one domain, in the order in which they are tried. */
static const char patterns_sql[] =
	"select v.id, d.domain, v.extension"
	" from voip.vw_routes as v join voip.domains as d on d.id = v.domain_id"
	" where v.pattern_re is not null and d.active"
	" and ($1::text is null or d.domain = $1)"
	" order by d.domain collate \"C\", v.pattern_rank collate \"C\","
	" v.extension collate \"C\"";

int
doctor_patterns(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	struct db_result *r = NULL;
	struct row *rows = NULL;
	int rc = -1, first = 0;

	if (db_query(d->db, &r, patterns_sql, 1,
		     (struct db_param[]){ DB_TEXT(d->domain) }, e) == 0 &&
	    (rows = parse(r, e)) != NULL)
		rc = 0;
	for (int i = 0; rc == 0 && i < db_rows(r); i++) {
		if (strcmp(rows[first].domain, rows[i].domain) != 0)
			first = i;
		for (int j = first; j < i; j++) {
			if (!pattern_covers(&rows[j].pattern, &rows[i].pattern))
				continue;
			report(d, k, &rows[i], rows[j].text);
			break;
		}
	}
	free(rows);
	db_result_free(r);
	return rc;
}

static const char emergency_sql[] =
	"select n.id, '', n.number from voip.emergency_numbers as n"
	" where n.active order by n.pattern_rank,"
	" n.number collate \"C\"";

/* An exact number that stands in an emergency pattern counts too. */
static const char numbers_sql[] =
	"select e.id, d.domain, e.extension"
	" from voip.vw_routes as e join voip.domains as d on d.id = e.domain_id"
	" where d.active and ($1::text is null or d.domain = $1)"
	" and (e.pattern_re is not null or exists ("
	"select from voip.emergency_numbers as n where n.active"
	" and (n.number = e.extension or e.extension ~ n.pattern_re)))"
	" order by d.domain collate \"C\", e.extension collate \"C\"";

int
doctor_emergency(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	struct db_result *first = NULL, *r = NULL;
	struct row *before = NULL, *rows = NULL;
	int rc = -1;

	if (db_query(d->db, &first, emergency_sql, 0, NULL, e) == 0 &&
	    db_query(d->db, &r, numbers_sql, 1,
		     (struct db_param[]){ DB_TEXT(d->domain) }, e) == 0 &&
	    (before = parse(first, e)) != NULL && (rows = parse(r, e)) != NULL)
		rc = 0;
	for (int i = 0; rc == 0 && i < db_rows(r); i++) {
		for (int j = 0; j < db_rows(first); j++) {
			if (!pattern_covers(&before[j].pattern,
					    &rows[i].pattern))
				continue;
			report(d, k, &rows[i], before[j].text);
			break;
		}
	}
	free(before);
	free(rows);
	db_result_free(first);
	db_result_free(r);
	return rc;
}
