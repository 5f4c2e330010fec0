/* rm, and rm --cascade. */
#include <stdio.h>
#include <string.h>

#include "extcommand.h"

/* The user of an extension goes with the last thing that points to it. */
static int
remove_unused_user(struct db *db, struct ext_command *c,
		   const struct entity_key *user, struct verr *e)
{
	const struct entity *t = entity_find("user");
	struct buf users = BUF_INIT;
	char id[24];
	int rc = entity_id(db, t, user, id, e);

	if (rc == 0)
		rc = entity_users(db, t, id, &users, e);
	if (rc == 0 && !users.len) {
		rc = entity_remove(db, t, user, e);
		c->removed_user = *user;
	}
	buf_release(&users);
	return rc;
}

static int
remove_it(struct db *db, struct ext_command *c, struct verr *e)
{
	if (c->options->cascade)
		return entity_remove_cascade(db, &c->removed, c->entity,
					     &c->key, e);
	if (entity_remove(db, c->entity, &c->key, e) == 0)
		return 0;
	/* What the database itself refused is kept by no entity. */
	if (e->kind == VERR_CONFLICT && !*db_sqlstate(db))
		verr_add(e, "\nhint: --cascade removes them too; with "
			    "--dry-run it shows them");
	return -1;
}

int
ext_verb_rm(struct db *db, struct ext_command *c, struct verr *e)
{
	bool is_extension = strcmp(c->entity->name, "extension") == 0;
	struct entity_key user;
	struct verr none = VERR_INIT;
	bool has_user;

	has_user = is_extension && ext_user_of(db, c, &user, &none) == 0;
	if (is_extension && !has_user && none.kind != VERR_NOTFOUND) {
		*e = none;
		return -1;
	}
	if (remove_it(db, c, e) == -1)
		return -1;
	return has_user ? remove_unused_user(db, c, &user, e) : 0;
}

int
ext_print_removed(const struct ext_command *c, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "action", OUT_TEXT },  { "entity", OUT_TEXT },
		{ "key", OUT_TEXT },     { "field", OUT_TEXT },
		{ "because", OUT_TEXT },
	};
	struct buf user = BUF_INIT, why = BUF_INIT;
	struct out *out;

	if (!c->removed)
		return 0;
	out = out_begin(stdout, c->options->format, columns, 5, e);
	if (!out)
		return -1;
	for (int row = 0; row < db_rows(c->removed); row++) {
		const char *values[5];

		for (int i = 0; i < 5; i++)
			values[i] = db_value(c->removed, row, i);
		out_row(out, values);
	}
	if (*c->removed_user.name) {
		entity_key_format(&user, entity_find("user"), &c->removed_user);
		buf_printf(&why, "%s '%s'", c->entity->name, c->key_text);
		out_row(out, (const char *const[]){ "remove", "user", user.data,
						    NULL, why.data });
	}
	buf_release(&user);
	buf_release(&why);
	return out_end(out, e);
}
