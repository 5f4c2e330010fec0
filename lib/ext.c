#include "ext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "account.h"
#include "conf.h"

#define MAX_VALUES 36

struct command {
	const struct ext_options *options;
	const struct entity *entity;
	struct entity_key key;
	char key_text[600];
	struct entity_value values[MAX_VALUES];
	size_t n;
	/* An extension's command may hold fields of its user. */
	struct entity_value user_values[MAX_VALUES];
	size_t user_n;
	char *secrets[MAX_VALUES]; /* read or made here */
	size_t nsecrets;
	const char *made; /* the one to show */
};

/* --- secrets ---------------------------------------------------------- */

static bool
is_secret(const struct entity_field *f)
{
	return f->type == ENTITY_PASSWORD || f->type == ENTITY_SEALED;
}

static void
hide_value(char *assignment)
{
	char *value = strchr(assignment, '=');

	if (!value)
		return;
	*value = '\0';
	for (const struct entity *t = entities; t->name; t++) {
		const struct entity_field *f = entity_field_find(t, assignment);

		if (f && is_secret(f)) {
			memset(value + 1, '*', strlen(value + 1));
			break;
		}
	}
	*value = '=';
}

static void
hide_secrets(const struct ext_options *o)
{
	for (int i = 1; i < o->argc; i++)
		hide_value(o->argv[i]);
}

static void
wipe_secrets(struct command *c)
{
	for (size_t i = 0; i < c->nsecrets; i++) {
		hash_wipe(c->secrets[i], strlen(c->secrets[i]));
		free(c->secrets[i]);
	}
	c->nsecrets = 0;
}

/* One line of standard input; a terminal does not show it. */
static char *
read_line(struct verr *e)
{
	struct termios before, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (terminal) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	n = getline(&line, &size, stdin);
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	if (n > 0)
		return line;
	free(line);
	verr_set(e, VERR_INPUT, "no secret on standard input");
	return NULL;
}

static int
read_secret(struct command *c, struct entity_value *v, struct verr *e)
{
	char random[ACCOUNT_SECRET], *secret;

	if (!*v->value)
		return 0;
	if (strcmp(v->value, "-") == 0) {
		secret = read_line(e);
	} else {
		bool make = strcmp(v->value, "random") == 0;

		if (make && account_random(random, e) == -1)
			return -1;
		secret = strdup(make ? random : v->value);
		if (make)
			c->made = secret;
		if (!secret)
			verr_set(e, VERR_RETRY, "out of memory");
		hash_wipe(random, sizeof(random));
	}
	if (!secret)
		return -1;
	c->secrets[c->nsecrets++] = secret;
	v->value = secret;
	return 0;
}

/* --- arguments -------------------------------------------------------- */

static int
unknown_field(const struct entity *t, const char *name, struct verr *e)
{
	const char *like = entity_field_suggest(t, name);

	verr_set(e, VERR_USAGE, "'%s' has no field '%s'", t->name, name);
	if (like)
		return verr_add(e, "\nhint: did you mean '%s'?", like);
	return verr_add(e, "\nhint: 'voip-ext fields %s' lists them", t->name);
}

static bool
is_given(const struct command *c, const struct entity_field *f)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->values[i].field == f)
			return true;
	for (size_t i = 0; i < c->user_n; i++)
		if (c->user_values[i].field == f)
			return true;
	return false;
}

static int
add_value(struct command *c, const char *assignment, struct verr *e)
{
	const char *equals = strchr(assignment, '=');
	const struct entity *owner = c->entity;
	struct entity_value v;
	char name[64];

	if (!equals || equals == assignment ||
	    (size_t)(equals - assignment) >= sizeof(name))
		return verr_set(e, VERR_USAGE, "'%s' is not FIELD=VALUE",
				assignment);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment),
		 assignment);
	v = (struct entity_value){ entity_field_find(owner, name), equals + 1 };
	if (!v.field && strcmp(owner->name, "extension") == 0) {
		owner = entity_find("user");
		v.field = entity_field_find(owner, name);
	}
	if (!v.field)
		return unknown_field(c->entity, name, e);
	if (is_given(c, v.field))
		return verr_set(e, VERR_USAGE, "field '%s' is given twice",
				name);
	if (c->n + c->user_n == MAX_VALUES)
		return verr_set(e, VERR_USAGE, "too many fields");
	if (is_secret(v.field) && read_secret(c, &v, e) == -1)
		return -1;
	if (entity_check(owner, &v, e) == -1)
		return -1;
	if (owner == c->entity)
		c->values[c->n++] = v;
	else
		c->user_values[c->user_n++] = v;
	return 0;
}

static int
add_values(struct command *c, int argc, const char **argv, struct verr *e)
{
	for (int i = 0; i < argc; i++)
		if (add_value(c, argv[i], e) == -1)
			return -1;
	return 0;
}

static int
set_key(struct command *c, const char *text, struct verr *e)
{
	snprintf(c->key_text, sizeof(c->key_text), "%s", text);
	return entity_key_parse(&c->key, c->entity, text, e);
}

static const struct entity_value *
value_of(const struct command *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->values[i].field->name, name) == 0)
			return &c->values[i];
	return NULL;
}

/* --- an extension and its user ---------------------------------------- */

static void
append(struct command *c, const char *field, const char *value)
{
	c->values[c->n++] =
		(struct entity_value){ entity_field_find(c->entity, field),
				       value };
}

/* The type that the given reference implies. */
static const char *
implied_type(const struct command *c)
{
	if (c->user_n)
		return "user";
	for (size_t i = 0; i < c->n; i++) {
		const struct entity_field *f = c->values[i].field;

		if (f->type != ENTITY_REFERENCE ||
		    strcmp(f->name, "recording_policy") == 0)
			continue;
		return strcmp(f->name, "trunk") == 0 ? "trunk_out" : f->name;
	}
	return NULL;
}

/*
 * A user's number without `user=` comes with a user of that name, in the same
 * transaction.
 */
static int
complete_extension(struct db *db, struct command *c, struct verr *e)
{
	const struct entity_value *type = value_of(c, "type");
	const char *implied = implied_type(c);

	if (!type && implied && c->n < MAX_VALUES)
		append(c, "type", implied);
	type = value_of(c, "type");
	if (!type || strcmp(type->value, "user") != 0 || value_of(c, "user"))
		return c->user_n && value_of(c, "user")
			       ? verr_set(e, VERR_USAGE,
					  "'%s' is a field of the user\n"
					  "hint: voip-ext user set ...",
					  c->user_values[0].field->name)
			       : 0;
	if (entity_add(db, entity_find("user"), &c->key, c->user_values,
		       c->user_n, e) == -1) {
		if (e->kind == VERR_CONFLICT)
			verr_add(e, "\nhint: user=%s uses it", c->key.name);
		return -1;
	}
	append(c, "user", c->key.name);
	return 0;
}

/* The user that an extension points to; VERR_NOTFOUND without one. */
static int
user_of(struct db *db, const struct command *c, struct entity_key *user,
	struct verr *e)
{
	struct db_result *r = NULL;
	const char *name;
	int rc = -1, column = 1;

	for (const struct entity_field *f = c->entity->fields + 1; f->name; f++)
		if (strcmp(f->name, "user") == 0)
			column = (int)(f - c->entity->fields);
	if (entity_list(db, &r, c->entity, NULL, &c->key, NULL, 0, e) == -1)
		return -1;
	name = db_rows(r) ? db_value(r, 0, column) : NULL;
	*user = c->key;
	if (name) {
		snprintf(user->name, sizeof(user->name), "%s", name);
		rc = 0;
	} else {
		verr_set(e, VERR_NOTFOUND, "extension '%s' has no user",
			 c->key_text);
	}
	db_result_free(r);
	return rc;
}

/* --- what is shown ---------------------------------------------------- */

static enum out_type
column_type(const struct entity_field *f)
{
	switch (f->type) {
	case ENTITY_INT:
		return OUT_NUMBER;
	case ENTITY_BOOL:
		return OUT_BOOL;
	case ENTITY_JSON:
		return OUT_RAW;
	default:
		return OUT_TEXT;
	}
}

/* People get the main fields only; machines all. */
static int
print_list(const struct command *c, const struct db_result *r, struct verr *e)
{
	const struct entity_field *f = c->entity->fields;
	bool table = c->options->format == OUT_TABLE;
	struct out_column columns[MAX_VALUES + 4];
	int places[MAX_VALUES + 4], n = 0;
	struct out *out;

	for (int i = 0; f[i].name; i++) {
		if (table && f[i].flags & ENTITY_DETAIL)
			continue;
		places[n] = i;
		columns[n].name = i ? f[i].name : c->entity->name;
		columns[n++].type = i ? column_type(&f[i]) : OUT_TEXT;
	}
	out = out_begin(stdout, c->options->format, columns, (size_t)n, e);
	if (!out)
		return -1;
	for (int row = 0; row < db_rows(r); row++) {
		const char *values[MAX_VALUES + 4];

		for (int i = 0; i < n; i++)
			values[i] = db_value(r, row, places[i]);
		out_row(out, values);
	}
	return out_end(out, e);
}

/* One row as a table of its fields. */
static int
print_fields(const struct command *c, const struct db_result *r, struct verr *e)
{
	static const struct out_column columns[] = { { "field", OUT_TEXT },
						     { "value", OUT_TEXT } };
	const struct entity_field *f = c->entity->fields;
	struct out *out = out_begin(stdout, OUT_TABLE, columns, 2, e);

	if (!out)
		return -1;
	for (int i = 0; f[i].name; i++)
		out_row(out,
			(const char *const[]){ i ? f[i].name : c->entity->name,
					       db_value(r, 0, i) });
	return out_end(out, e);
}

static int
print_made(const struct command *c, struct verr *e)
{
	const struct out_column columns[] = {
		{ c->entity->name, OUT_TEXT },
		{ "password", OUT_TEXT },
	};
	struct out *out;

	if (!c->made)
		return 0;
	out = out_begin(stdout, c->options->format, columns, 2, e);
	if (!out)
		return -1;
	out_row(out, (const char *const[]){ c->key_text, c->made });
	return out_end(out, e);
}

/* --- verbs ------------------------------------------------------------ */

static int
verb_add(struct db *db, struct command *c, struct verr *e)
{
	if (strcmp(c->entity->name, "extension") == 0 &&
	    complete_extension(db, c, e) == -1)
		return -1;
	for (const struct entity_field *f = c->entity->fields; f->name; f++)
		if (f->flags & ENTITY_REQUIRED && !value_of(c, f->name))
			return verr_set(e, VERR_USAGE,
					"'%s' needs the field '%s'",
					c->entity->name, f->name);
	return entity_add(db, c->entity, &c->key, c->values, c->n, e);
}

static int
verb_set(struct db *db, struct command *c, struct verr *e)
{
	struct entity_key user;

	if (c->n + c->user_n == 0)
		return verr_set(e, VERR_USAGE,
				"nothing to set\n"
				"hint: give FIELD=VALUE");
	if (c->user_n && (user_of(db, c, &user, e) == -1 ||
			  entity_set(db, entity_find("user"), &user,
				     c->user_values, c->user_n, e) == -1))
		return -1;
	return c->n ? entity_set(db, c->entity, &c->key, c->values, c->n, e)
		    : 0;
}

/* The user of an extension goes with the last thing that points to it. */
static int
remove_unused_user(struct db *db, const struct entity_key *user, struct verr *e)
{
	const struct entity *t = entity_find("user");
	struct buf users = BUF_INIT;
	char id[24];
	int rc = entity_id(db, t, user, id, e);

	if (rc == 0)
		rc = entity_users(db, t, id, &users, e);
	if (rc == 0 && !users.len)
		rc = entity_remove(db, t, user, e);
	buf_release(&users);
	return rc;
}

static int
verb_rm(struct db *db, struct command *c, struct verr *e)
{
	bool is_extension = strcmp(c->entity->name, "extension") == 0;
	struct entity_key user;
	struct verr none = VERR_INIT;
	bool has_user;

	has_user = is_extension && user_of(db, c, &user, &none) == 0;
	if (is_extension && !has_user && none.kind != VERR_NOTFOUND) {
		*e = none;
		return -1;
	}
	if (entity_remove(db, c->entity, &c->key, e) == -1)
		return -1;
	return has_user ? remove_unused_user(db, &user, e) : 0;
}

static int
verb_show(struct db *db, struct command *c, struct verr *e)
{
	struct db_result *r = NULL;
	int rc = entity_list(db, &r, c->entity, NULL, &c->key, NULL, 0, e);

	if (rc == 0 && db_rows(r) == 0)
		rc = verr_set(e, VERR_NOTFOUND, "%s '%s' does not exist",
			      c->entity->name, c->key_text);
	else if (rc == 0 && c->options->format == OUT_TABLE)
		rc = print_fields(c, r, e);
	else if (rc == 0)
		rc = print_list(c, r, e);
	db_result_free(r);
	return rc;
}

static int
verb_list(struct db *db, struct command *c, struct verr *e)
{
	struct db_result *r = NULL;
	const char *domain = c->options->domain;
	int rc;

	if (domain && !c->entity->in_domain &&
	    strcmp(c->entity->name, "domain") != 0)
		return verr_set(e, VERR_USAGE, "'%s' is not of a domain",
				c->entity->name);
	rc = entity_list(db, &r, c->entity, domain, NULL, c->values, c->n, e);
	if (rc == 0)
		rc = print_list(c, r, e);
	db_result_free(r);
	return rc;
}

static int
verb_fields(struct db *db, struct command *c, struct verr *e)
{
	static const struct out_column columns[] = {
		{ "field", OUT_TEXT },
		{ "type", OUT_TEXT },
		{ "values", OUT_TEXT },
		{ "help", OUT_TEXT },
	};
	struct out *out = out_begin(stdout, c->options->format, columns, 4, e);

	(void)db;
	if (!out)
		return -1;
	for (const struct entity_field *f = c->entity->fields; f->name; f++)
		out_row(out, (const char *const[]){ f->name,
						    entity_type_name(f->type),
						    f->words, f->help });
	return out_end(out, e);
}

static const struct verb {
	const char *name;
	int (*run)(struct db *db, struct command *c, struct verr *e);
	bool has_key;
	bool has_values;
	bool writes;
	bool needs_no_database;
} verbs[] = {
	{ "add", verb_add, true, true, true, false },
	{ "fields", verb_fields, false, false, false, true },
	{ "list", verb_list, false, true, false, false },
	{ "rm", verb_rm, true, false, true, false },
	{ "set", verb_set, true, true, true, false },
	{ "show", verb_show, true, false, false, false },
	{ .name = NULL },
};

static const struct verb *
verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static void
unknown_word(const char *word, struct verr *e)
{
	verr_set(e, VERR_USAGE,
		 "'%s' is no entity and no verb\nhint: entities:", word);
	for (const struct entity *t = entities; t->name; t++)
		verr_add(e, " %s", t->name);
	verr_add(e, "; verbs:");
	for (const struct verb *v = verbs; v->name; v++)
		verr_add(e, " %s", v->name);
}

/* A change is seen as a whole or not at all. */
static int
run_in_transaction(struct db *db, const struct verb *verb, struct command *c,
		   struct verr *e)
{
	int rc = -1;

	if (db_begin(db, e) == 0 && entity_actor(db, e) == 0 &&
	    verb->run(db, c, e) == 0)
		rc = c->options->dry_run ? 0 : db_commit(db, e);
	db_rollback(db);
	return rc == 0 ? print_made(c, e) : -1;
}

static int
run_verb(const struct verb *verb, struct command *c, struct verr *e)
{
	struct db_options o = { .retry = DB_RETRY_INTERACTIVE,
				.session_attrs =
					verb->writes ? "read-write" : NULL };
	struct db *db;
	int rc;

	if (verb->needs_no_database)
		return verb->run(NULL, c, e);
	db = db_new(&o, e);
	if (!db)
		return -1;
	rc = verb->writes ? run_in_transaction(db, verb, c, e)
			  : verb->run(db, c, e);
	db_free(db);
	return rc;
}

/* NULL: `e` says what is wrong. */
static const struct verb *
parse_verb(struct command *c, int *i, int argc, const char **argv,
	   struct verr *e)
{
	const struct verb *verb;

	c->entity = argc ? entity_find(argv[0]) : NULL;
	if (c->entity)
		++*i;
	else
		c->entity = entity_find("extension");
	if (*i >= argc) {
		verr_set(e, VERR_USAGE, "no verb given");
		return NULL;
	}
	verb = verb_find(argv[*i]);
	if (!verb)
		unknown_word(argv[*i], e);
	++*i;
	return verb;
}

/* What follows the verb. */
static int
parse_rest(struct command *c, const struct verb *verb, int argc,
	   const char **argv, struct verr *e)
{
	int i = 0;

	/* "fields ENTITY" reads better than "ENTITY fields"; both do. */
	if (verb->needs_no_database && i < argc && entity_find(argv[i]))
		c->entity = entity_find(argv[i++]);
	if (verb->has_key) {
		if (i == argc)
			return verr_set(e, VERR_USAGE, "'%s' needs a key",
					verb->name);
		if (set_key(c, argv[i++], e) == -1)
			return -1;
	}
	if (!verb->has_values && i < argc)
		return verr_set(e, VERR_USAGE, "unexpected argument '%s'",
				argv[i]);
	return add_values(c, argc - i, argv + i, e);
}

static int
parse_and_run(struct command *c, int argc, const char **argv, struct verr *e)
{
	int i = 0;
	const struct verb *verb = parse_verb(c, &i, argc, argv, e);

	if (!verb || parse_rest(c, verb, argc - i, argv + i, e) == -1)
		return -1;
	return run_verb(verb, c, e);
}

static void
free_words(char **words, int n)
{
	for (int i = 0; words && i < n; i++) {
		if (words[i])
			hash_wipe(words[i], strlen(words[i]));
		free(words[i]);
	}
	free(words);
}

static char **
copy_words(int n, const char **words, struct verr *e)
{
	char **copy = calloc((size_t)n + 1, sizeof(*copy));

	for (int i = 0; copy && i < n; i++) {
		copy[i] = strdup(words[i]);
		if (!copy[i]) {
			free_words(copy, i);
			copy = NULL;
		}
	}
	if (!copy)
		verr_set(e, VERR_RETRY, "out of memory");
	return copy;
}

/* The arguments are hidden before anything waits for input or database. */
int
ext_run(const struct ext_options *o, int argc, const char **argv,
	struct verr *e)
{
	struct command *c = calloc(1, sizeof(*c));
	char **words = copy_words(argc, argv, e);
	int rc = -1;

	hide_secrets(o);
	if (!c)
		verr_set(e, VERR_RETRY, "out of memory");
	if (c && words) {
		c->options = o;
		rc = parse_and_run(c, argc, (const char **)words, e);
		wipe_secrets(c);
	}
	free_words(words, argc);
	free(c);
	return rc;
}
