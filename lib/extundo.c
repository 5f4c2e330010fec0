/* undo: a change set taken back by its inverse (sql/0007-undo.sql). */
#include <string.h>

#include "extcommand.h"

enum { CHANGE, OBSTACLE, TABLE, KEY, DOMAIN };

/*
 * What voip.undo() says stood in the way.  %1$s is the change set that was to
 * be undone, %2$s the row in question, %3$s the change set that is in the way.
 */
static const struct obstacle {
	const char *name;
	enum verr_kind kind;
	const char *message;
} obstacles[] = {
	{ "unknown", VERR_NOTFOUND, "change %1$s does not exist" },
	{ "undone", VERR_CONFLICT,
	  "change %1$s was undone by change %3$s\n"
	  "hint: 'voip-ext undo %3$s' brings it back" },
	{ "foreign", VERR_CONFLICT,
	  "change %1$s also changed what is not this domain's" },
	{ "nothing", VERR_CONFLICT,
	  "change %1$s left nothing changed that could be undone" },
	{ "later", VERR_CONFLICT,
	  "change %1$s cannot be undone: change %3$s changed %2$s later\n"
	  "hint: undo change %3$s first" },
	{ "used", VERR_CONFLICT,
	  "change %1$s cannot be undone: %2$s of change %3$s uses what would "
	  "go\nhint: undo change %3$s first" },
	{ "missing", VERR_CONFLICT,
	  "change %1$s cannot be undone: %2$s is gone since change %3$s\n"
	  "hint: undo change %3$s first" },
	{ "taken", VERR_CONFLICT,
	  "change %1$s cannot be undone: %2$s of change %3$s has the name or "
	  "number now" },
	{ "renamed", VERR_CONFLICT,
	  "change %1$s cannot be undone: %2$s has a secret of change %3$s, "
	  "which would be useless under its old name" },
};

#define OBSTACLES (sizeof(obstacles) / sizeof(obstacles[0]))

/* "user '1001@pbx.example.com'" */
static void
name_row(struct buf *out, const struct db_result *r)
{
	const char *table = db_value(r, 0, TABLE), *key = db_value(r, 0, KEY);
	const char *domain = db_value(r, 0, DOMAIN);
	const struct entity *t = entities;

	while (table && t->name && strcmp(t->table, table) != 0)
		t++;
	if (!table)
		buf_puts(out, "another row");
	else if (!key)
		buf_printf(out, "another %s", t->name ? t->name : table);
	else
		buf_printf(out, "%s '%s%s%s'", t->name ? t->name : table, key,
			   t->in_domain && domain ? "@" : "",
			   t->in_domain && domain ? domain : "");
}

/* The message of an obstacle, with the words put in its places. */
static int
refuse(const char *change, const struct db_result *r, struct verr *e)
{
	const char *obstacle = db_value(r, 0, OBSTACLE);
	const char *later = db_value(r, 0, CHANGE);
	struct buf row = BUF_INIT, text = BUF_INIT;
	const struct obstacle *o = obstacles;

	while (o < obstacles + OBSTACLES && strcmp(o->name, obstacle) != 0)
		o++;
	if (o == obstacles + OBSTACLES)
		return verr_set(e, VERR_BUG, "voip.undo() answers '%s'",
				obstacle);
	name_row(&row, r);
	for (const char *s = o->message; *s; s++) {
		if (strncmp(s, "%1$s", 4) == 0)
			buf_puts(&text, change);
		else if (strncmp(s, "%2$s", 4) == 0)
			buf_puts(&text, row.data);
		else if (strncmp(s, "%3$s", 4) == 0)
			buf_puts(&text, later ? later : "?");
		else {
			buf_putc(&text, *s);
			continue;
		}
		s += 3;
	}
	verr_set(e, o->kind, "%s", text.data);
	buf_release(&row);
	buf_release(&text);
	return -1;
}

/* What was done is shown as the log shows it; a dry run shows every field. */
int
ext_verb_undo(struct db *db, struct ext_command *c, struct verr *e)
{
	const char *change = c->argc ? c->argv[0] : NULL;
	struct db_result *r = NULL;
	int rc;

	if (!change || c->argc > 1 || !ext_is_change(change))
		return verr_set(e, VERR_USAGE,
				"'undo' needs the number of a change set\n"
				"hint: 'voip-ext log' lists them");
	rc = db_query(db, &r,
		      "select change, obstacle, table_name, key, domain"
		      " from voip.undo($1::text::bigint)",
		      1, (struct db_param[]){ DB_TEXT(change) }, e);
	if (rc == 0 && db_value(r, 0, OBSTACLE))
		rc = refuse(change, r, e);
	else if (rc == 0 && c->options->dry_run)
		rc = ext_show_change(db, c, db_value(r, 0, CHANGE), e);
	else if (rc == 0)
		rc = ext_list_change(db, c, db_value(r, 0, CHANGE), e);
	db_result_free(r);
	return rc;
}
