/* doctor: every check, or those that are named. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "extcommand.h"

static bool
is_wanted(const struct ext_command *c, const char *name)
{
	for (int i = 0; i < c->argc; i++)
		if (strcmp(c->argv[i], name) == 0)
			return true;
	return c->argc == 0;
}

static int
check_names(const struct ext_command *c, struct verr *e)
{
	const char *last = "";

	for (int i = 0; i < c->argc; i++) {
		const struct doctor_check *k = doctor_checks;

		while (k->name && strcmp(k->name, c->argv[i]) != 0)
			k++;
		if (k->name)
			continue;
		verr_set(e, VERR_USAGE,
			 "there is no check '%s'\nhint: checks:", c->argv[i]);
		for (k = doctor_checks; k->name; last = k->name, k++)
			if (strcmp(k->name, last) != 0)
				verr_add(e, " %s", k->name);
		return -1;
	}
	return 0;
}

static int
check_domain(struct db *db, const char *domain, struct verr *e)
{
	const struct entity *t = entity_find("domain");
	struct db_result *r = NULL;
	struct entity_key key;
	int rc;

	if (!domain)
		return 0;
	rc = entity_key_parse(&key, t, domain, e);
	if (rc == 0)
		rc = entity_list(db, &r, t, NULL, &key, NULL, 0, e);
	if (rc == 0 && db_rows(r) == 0)
		rc = verr_set(e, VERR_NOTFOUND, "domain '%s' does not exist",
			      domain);
	db_result_free(r);
	return rc;
}

int
ext_verb_doctor(struct db *db, struct ext_command *c, struct verr *e)
{
	struct doctor d = { .db = db,
			    .domain = c->options->domain,
			    .fix = c->options->fix,
			    .ids = BUF_INIT };
	int rc = 0;

	if (c->entity_given)
		return verr_set(e, VERR_USAGE,
				"'doctor' looks at every entity");
	if (check_names(c, e) == -1 ||
	    check_domain(db, c->options->domain, e) == -1)
		return -1;
	d.out = out_begin(stdout, c->options->format, doctor_columns,
			  DOCTOR_COLUMNS, e);
	if (!d.out)
		return -1;
	for (const struct doctor_check *k = doctor_checks; k->name && rc == 0;
	     k++)
		if (is_wanted(c, k->name))
			rc = doctor_run(&d, k, e);
	if (rc == 0)
		rc = out_end(d.out, e);
	else
		out_end(d.out, &VERR_INIT);
	c->faults = d.found - d.fixed;
	return rc;
}
