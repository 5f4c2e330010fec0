/* Rows of an entity added, changed and removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "actor.h"
#include "entityrule.h"
#include "entitysql.h"
#include "hash.h"
#include "moment.h"
#include "secret.h"

/* --- references ------------------------------------------------------- */

/*
 * The id that a reference is written as.  "support" is of the row's own domain,
 * "support@pbx.example.com" says so; a shared thing has no domain.
 */
static int
reference_id(struct db *db, const struct entity_field *f,
	     const struct entity_key *owner, const char *value, char id[24],
	     struct verr *e)
{
	const struct entity *t = sql_referenced(f);
	struct entity_key key;
	struct buf text = BUF_INIT;
	int rc;

	buf_puts(&text, value);
	if (t->in_domain && !strchr(value, '@'))
		buf_printf(&text, "@%s", owner->domain);
	rc = entity_key_parse(&key, t, text.data, e);
	if (rc == 0 && t->in_domain && *owner->domain &&
	    strcmp(key.domain, owner->domain) != 0)
		rc = verr_set(e, VERR_INPUT,
			      "%s '%s' is of another domain than '%s'", t->name,
			      text.data, owner->domain);
	if (rc == 0)
		rc = entity_target_id(db, t, &key, id, e);
	/* The thing asked for exists or not; what it needs is input. */
	if (rc == -1 && e->kind == VERR_NOTFOUND)
		e->kind = VERR_INPUT;
	buf_release(&text);
	return rc;
}

/* --- writing ---------------------------------------------------------- */

static int
own(struct statement *s, const char *text, struct db_param *p, struct verr *e)
{
	char *copy = strdup(text);

	if (!copy)
		return verr_set(e, VERR_RETRY, "out of memory");
	s->owned[s->nowned++] = copy;
	*p = DB_TEXT(copy);
	return 0;
}

/* The columns and expressions that a value is written to. */
struct assignment {
	const char *column;
	char expression[64];
};

static int
assign_password(struct statement *s, const struct entity_key *key,
		const char *password, struct assignment to[3], struct verr *e)
{
	static const char *const columns[] = { "ha1", "ha1b", "ha1_sha256" };
	struct account a;
	const char *values[] = { a.ha1, a.ha1b, a.ha1_sha256 };

	if (*password &&
	    account_hash(&a, key->name, key->domain, password, e) == -1)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		struct db_param p = DB_TEXT(NULL);

		if (*password && own(s, values[i], &p, e) == -1)
			return -1;
		to[i].column = columns[i];
		snprintf(to[i].expression, sizeof(to[i].expression),
			 "$%d::text", statement_param(s, p));
	}
	return 3;
}

static int
assign_sealed(struct statement *s, const struct entity *t,
	      const struct entity_key *key, const struct entity_value *v,
	      struct assignment *to, struct verr *e)
{
	struct buf name = BUF_INIT, sealed = BUF_INIT;
	struct db_param p;
	int rc;

	buf_printf(&name, "%s.%s:", t->table, v->field->column);
	entity_key_format(&name, t, key);
	rc = secret_seal(&sealed, name.data, v->value, e);
	if (rc == 0) {
		p = DB_BYTES(sealed.data, sealed.len);
		s->owned[s->nowned++] = sealed.data;
		snprintf(to->expression, sizeof(to->expression), "$%d::bytea",
			 statement_param(s, p));
	} else {
		buf_release(&sealed);
	}
	buf_release(&name);
	return rc == 0 ? 1 : -1;
}

static const char *const casts[] = {
	[ENTITY_TEXT] = "$%d::text",
	[ENTITY_INT] = "$%d::integer",
	[ENTITY_BOOL] = "$%d::boolean",
	[ENTITY_CHOICE] = "$%d::text",
	[ENTITY_JSON] = "$%d::jsonb",
	[ENTITY_TIME] = "$%d::timestamptz",
	[ENTITY_CIDR] = "$%d::text::cidr",
	[ENTITY_CIDRS] = "string_to_array($%d::text, ',')::cidr[]",
	[ENTITY_REFERENCE] = "$%d::text::bigint",
	[ENTITY_HASHED] = "$%d::text",
};

static void
assign_text(struct statement *s, enum entity_type type, struct db_param p,
	    struct assignment *to)
{
	const char *cast = casts[type], *place = strstr(cast, "%d");

	snprintf(to->expression, sizeof(to->expression), "%.*s%d%s",
		 (int)(place - cast), cast, statement_param(s, p), place + 2);
}

/* "field 'user' of extension '1010@...': user '9@...' does not exist" */
static int
wrong_reference(const struct entity *t, const struct entity_key *key,
		const struct entity_field *f, struct verr *e)
{
	struct buf b = BUF_INIT;

	if (e->kind != VERR_INPUT)
		return -1;
	entity_key_format(&b, t, key);
	verr_wrap(e, "field '%s' of %s '%s'", f->name, t->name,
		  b.data ? b.data : "");
	buf_release(&b);
	return -1;
}

/* The text that the column takes, when it is not the value itself. */
static int
convert(struct db *db, struct statement *s, const struct entity *t,
	const struct entity_key *key, const struct entity_value *v,
	struct db_param *p, struct verr *e)
{
	char hash[HASH_SHA256_HEX], utc[MOMENT_TEXT], id[24];

	switch (v->field->type) {
	case ENTITY_REFERENCE:
		if (reference_id(db, v->field, key, v->value, id, e) == -1)
			return wrong_reference(t, key, v->field, e);
		return own(s, id, p, e);
	case ENTITY_TIME:
		if (moment_utc(utc, v->value, e) == -1)
			return -1;
		return own(s, utc, p, e);
	case ENTITY_HASHED:
		if (hash_sha256_hex(hash, v->value, strlen(v->value), e) == -1)
			return -1;
		return own(s, hash, p, e);
	default:
		return 0;
	}
}

/* How many columns the value is written to, or -1. */
static int
assign(struct db *db, struct statement *s, const struct entity *t,
       const struct entity_key *key, const struct entity_value *v,
       struct assignment to[3], struct verr *e)
{
	const struct entity_field *f = v->field;
	struct db_param p = DB_TEXT(v->value);

	to->column = f->column;
	if (f->type == ENTITY_PASSWORD)
		return assign_password(s, key, v->value, to, e);
	if (!*v->value) {
		snprintf(to->expression, sizeof(to->expression), "%s",
			 f->flags & ENTITY_DEFAULT ? "default" : "null");
		return 1;
	}
	if (f->type == ENTITY_SEALED)
		return assign_sealed(s, t, key, v, to, e);
	if (convert(db, s, t, key, v, &p, e) == -1)
		return -1;
	assign_text(s, f->type, p, to);
	return 1;
}

static int
assign_all(struct db *db, struct statement *s, const struct entity *t,
	   const struct entity_key *key, const struct entity_value *values,
	   size_t n, struct assignment *to, struct verr *e)
{
	int count = 0;

	if (n > STATEMENT_VALUES - 4)
		return verr_set(e, VERR_USAGE, "too many fields");
	for (size_t i = 0; i < n; i++) {
		int added = assign(db, s, t, key, &values[i], to + count, e);

		if (added == -1)
			return -1;
		count += added;
	}
	return count;
}

/* Domain, parent and key: the columns that a new row has from its key. */
static int
assign_key(struct db *db, struct statement *s, const struct entity *t,
	   const struct entity_key *key, struct assignment *to, struct verr *e)
{
	const struct entity *domain = entity_find("domain");
	struct entity_key up = { "", "", "" };
	struct entity_value name = { t->fields, key->name };
	struct db_param p = DB_TEXT(NULL);
	char id[24];
	int count = 0, added;

	if (t->parent) {
		snprintf(up.name, sizeof(up.name), "%s", key->parent);
		snprintf(up.domain, sizeof(up.domain), "%s", key->domain);
		if (entity_target_id(db, entity_find(t->parent), &up, id, e) ==
			    -1 ||
		    own(s, id, &p, e) == -1)
			return -1;
		to[count].column = t->parent_column;
		assign_text(s, ENTITY_REFERENCE, p, &to[count++]);
	} else if (t->in_domain) {
		snprintf(up.name, sizeof(up.name), "%s", key->domain);
		if (entity_target_id(db, domain, &up, id, e) == -1 ||
		    own(s, id, &p, e) == -1)
			return -1;
		to[count].column = "domain_id";
		assign_text(s, ENTITY_REFERENCE, p, &to[count++]);
	}
	added = assign(db, s, t, key, &name, to + count, e);
	return added == -1 ? -1 : count + added;
}

/*
 * The field that a constraint is of, by the name that PostgreSQL gives it and
 * that ends the message: "..., users_max_calls_check]".
 */
static const struct entity_field *
constrained(const struct entity *t, const char *msg, const char *kind)
{
	char end[128];
	size_t len = strlen(msg), n;

	for (const struct entity_field *f = t->fields; f->name; f++) {
		const char *const starts[] = { "", "domain_id_" };

		for (size_t i = 0; i < 2; i++) {
			n = (size_t)snprintf(end, sizeof(end), ", %s_%s%s_%s]",
					     t->table, starts[i], f->column,
					     kind);
			if (n < sizeof(end) && n <= len &&
			    strcmp(msg + len - n, end) == 0)
				return f;
		}
	}
	return NULL;
}

/* What a unique constraint, or another one, says in the field's words. */
static int
explain(struct db *db, const struct entity *t, const struct entity_key *key,
	struct verr *e)
{
	const struct entity_field *f;
	struct buf b = BUF_INIT;
	const char *rule;

	entity_key_format(&b, t, key);
	if (strcmp(db_sqlstate(db), "23505") == 0) {
		f = constrained(t, e->msg, "key");
		if (f && f != t->fields)
			verr_set(e, VERR_CONFLICT,
				 "%s '%s': another has this '%s' already",
				 t->name, b.data, f->name);
		else
			verr_set(e, VERR_CONFLICT, "%s '%s' exists already",
				 t->name, b.data);
	} else {
		f = constrained(t, e->msg, "check");
		rule = entity_rule(e->msg);
		if (rule)
			verr_set(e, VERR_INPUT, "%s", rule);
		/* Only a number's type tells that it must be a pattern. */
		if (f == t->fields && f->check == valid_extension &&
		    valid_pattern(key->name, e) == -1)
			verr_wrap(e, "field '%s' of %s '%s'", f->name, t->name,
				  b.data);
		else if (f)
			verr_wrap(e, "field '%s' of %s '%s'", f->name, t->name,
				  b.data);
		else
			verr_wrap(e, "%s '%s'", t->name, b.data);
	}
	buf_release(&b);
	return -1;
}

int
entity_add(struct db *db, const struct entity *t, const struct entity_key *key,
	   const struct entity_value *values, size_t n, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	struct assignment to[STATEMENT_VALUES * 3];
	int rc = -1, count, more = -1;

	count = assign_key(db, &s, t, key, to, e);
	if (count != -1)
		more = assign_all(db, &s, t, key, values, n, to + count, e);
	if (more != -1) {
		count += more;
		buf_printf(&s.sql, "insert into voip.%s (", t->table);
		for (int i = 0; i < count; i++)
			buf_printf(&s.sql, "%s%s", i ? ", " : "", to[i].column);
		buf_puts(&s.sql, ") values (");
		for (int i = 0; i < count; i++)
			buf_printf(&s.sql, "%s%s", i ? ", " : "",
				   to[i].expression);
		buf_puts(&s.sql, ")");
		rc = statement_run(db, &s, NULL, e);
		if (rc == -1 && *db_sqlstate(db))
			explain(db, t, key, e);
	}
	statement_release(&s);
	return rc;
}

/* A new name makes the old HA1 useless: it comes with a new password. */
static int
check_rename(struct db *db, const struct entity *t, const char *id,
	     const struct entity_value *values, size_t n, struct verr *e)
{
	bool renames = false, has_password = false;
	const char *sql = NULL;
	struct db_result *r = NULL;
	bool in_use;

	for (size_t i = 0; i < n; i++) {
		renames = renames || values[i].field == t->fields;
		has_password = has_password ||
			       values[i].field->type == ENTITY_PASSWORD;
	}
	if (strcmp(t->name, "user") == 0 && !has_password)
		sql = "select exists (select from voip.users"
		      " where id = $1::text::bigint and ha1 is not null)";
	else if (strcmp(t->name, "domain") == 0)
		sql = "select exists (select from voip.users"
		      " where domain_id = $1::text::bigint"
		      " and ha1 is not null)";
	if (!renames || !sql)
		return 0;
	if (db_query(db, &r, sql, 1, (struct db_param[]){ DB_TEXT(id) }, e) ==
	    -1)
		return -1;
	in_use = db_is_true(r, 0, 0);
	db_result_free(r);
	if (!in_use)
		return 0;
	return verr_set(e, VERR_CONFLICT,
			"a password is part of the old name and would be "
			"useless\nhint: %s",
			strcmp(t->name, "user") == 0
				? "give password= together with username="
				: "add the new domain and its users, then "
				  "remove the old one");
}

int
entity_set(struct db *db, const struct entity *t, const struct entity_key *key,
	   const struct entity_value *values, size_t n, struct verr *e)
{
	struct statement s = { .sql = BUF_INIT };
	struct assignment to[STATEMENT_VALUES * 3];
	struct entity_key now = *key;
	struct db_param p = DB_TEXT(NULL);
	char id[24];
	int rc = -1, count = -1;

	for (size_t i = 0; i < n; i++)
		if (values[i].field == t->fields)
			snprintf(now.name, sizeof(now.name), "%s",
				 values[i].value);
	if (entity_id(db, t, key, id, e) == 0 &&
	    check_rename(db, t, id, values, n, e) == 0)
		count = assign_all(db, &s, t, &now, values, n, to, e);
	if (count > 0) {
		buf_printf(&s.sql, "update voip.%s set ", t->table);
		for (int i = 0; i < count; i++)
			buf_printf(&s.sql, "%s%s = %s", i ? ", " : "",
				   to[i].column, to[i].expression);
		if (own(&s, id, &p, e) == 0) {
			buf_printf(&s.sql, " where id = $%d::text::bigint",
				   statement_param(&s, p));
			rc = statement_run(db, &s, NULL, e);
			if (rc == -1 && *db_sqlstate(db))
				explain(db, t, &now, e);
		}
	}
	statement_release(&s);
	return rc;
}

/* --- removing --------------------------------------------------------- */

int
entity_remove(struct db *db, const struct entity *t,
	      const struct entity_key *key, struct verr *e)
{
	struct buf users = BUF_INIT, name = BUF_INIT, sql = BUF_INIT;
	char id[24];
	int rc = -1;

	entity_key_format(&name, t, key);
	buf_printf(&sql, "delete from voip.%s where id = $1::text::bigint",
		   t->table);
	if (entity_id(db, t, key, id, e) == 0 &&
	    entity_users(db, t, id, &users, e) == 0) {
		if (users.len)
			verr_set(e, VERR_CONFLICT, "%s '%s' is in use by %s",
				 t->name, name.data, users.data);
		else if (buf_failed(&sql) || buf_failed(&name))
			verr_set(e, VERR_RETRY, "out of memory");
		else if (db_query(db, NULL, sql.data, 1,
				  (struct db_param[]){ DB_TEXT(id) }, e) == 0)
			rc = 0;
		else
			statement_kept(db, t, name.data, e);
	}
	buf_release(&users);
	buf_release(&name);
	buf_release(&sql);
	return rc;
}

int
entity_actor(struct db *db, const char *command, struct verr *e)
{
	struct buf name = BUF_INIT, origin = BUF_INIT;
	int rc;

	actor_name(&name);
	actor_origin(&origin);
	rc = db_query(db, NULL,
		      "select set_config('voip.actor', $1, true),"
		      " set_config('voip.origin', $2, true),"
		      " set_config('voip.command', $3, true)",
		      3,
		      (struct db_param[]){ DB_TEXT(name.data),
					   DB_TEXT(origin.data),
					   DB_TEXT(command) },
		      e);
	buf_release(&name);
	buf_release(&origin);
	return rc;
}
