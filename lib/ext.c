/* The verbs. */
#include "ext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extcommand.h"
#include "hash.h"

/* A million rows in order, on a busy server. */
#define LONG_MS 600000

static int
verb_fields(struct db *db, struct ext_command *c, struct verr *e)
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

static const struct ext_verb verbs[] = {
	{ "add", "KEY [FIELD=VALUE...]", "add one, or a range (1000-1999@...)",
	  EXT_KEY | EXT_FIELDS | EXT_WRITES | EXT_RANGES, ext_add },
	{ "apply", "FILE", "bring the database to what a file says",
	  EXT_ARGUMENTS | EXT_TRANSACTIONS | EXT_LONG, ext_apply },
	{ "completion", "bash", "print what bash needs to complete commands",
	  EXT_ARGUMENTS | EXT_NO_DATABASE, ext_completion },
	{ "doctor", "[CHECK...]", "look for what is wrong",
	  EXT_ARGUMENTS | EXT_FIXES | EXT_LONG, ext_verb_doctor },
	{ "export", "", "write all, as apply reads it", EXT_LONG, ext_export },
	{ "fields", "[ENTITY]", "list the fields of an entity", EXT_NO_DATABASE,
	  verb_fields },
	{ "list", "[CONDITION...]", "list all, or what fits, as type=queue",
	  EXT_ARGUMENTS | EXT_SELECTS | EXT_LONG, ext_list },
	{ "log", "[CHANGE | KEY]", "list who changed what, or one change",
	  EXT_ARGUMENTS | EXT_LONG, ext_verb_log },
	{ "rm", "KEY", "remove one, unless it is in use",
	  EXT_KEY | EXT_WRITES | EXT_CASCADES | EXT_EACH | EXT_LONG,
	  ext_verb_rm },
	{ "route", "NUMBER@DOMAIN", "what is found for a number, and why",
	  EXT_KEY, ext_verb_route },
	{ "set", "KEY FIELD=VALUE...", "change fields; FIELD= empties it",
	  EXT_KEY | EXT_FIELDS | EXT_WRITES | EXT_EACH, ext_set },
	{ "show", "KEY", "show every field of one", EXT_KEY | EXT_SELECTS,
	  ext_show },
	{ "undo", "CHANGE", "take a change back",
	  EXT_ARGUMENTS | EXT_WRITES | EXT_LONG, ext_verb_undo },
	{ .name = NULL },
};

static const char examples[] =
	"\n"
	"Without an entity, extension is meant.  Examples:\n"
	"  voip-ext domain add pbx.example.com\n"
	"  voip-ext add 1001@pbx.example.com password=random full_name=Ann\n"
	"  voip-ext fields trunk\n"
	"  voip-ext list type=queue\n"
	"  voip-ext route 0912345678@pbx.example.com\n";

void
ext_help(struct buf *b)
{
	buf_puts(b, "\nCommands:\n");
	for (const struct ext_verb *v = verbs; v->name; v++)
		buf_printf(b, "  %s %-*s  %s\n", v->name,
			   24 - (int)strlen(v->name), v->args, v->help);
	buf_puts(b, "\nEntities:\n");
	for (const struct entity *t = entities; t->name; t++)
		buf_printf(b, "  %-13s%s\n", t->name, t->help);
	buf_puts(b, examples);
}

const struct ext_verb *
ext_verbs(void)
{
	return verbs;
}

static const struct ext_verb *
verb_find(const char *name)
{
	for (const struct ext_verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

/* A transaction whose changes the audit knows as this command's. */
static int
begin(struct db *db, const struct ext_command *c, struct verr *e)
{
	return db_begin(db, e) == 0 ? entity_actor(db, c->words, e) : -1;
}

/* A change is seen as a whole or not at all. */
static int
run_in_transaction(struct db *db, const struct ext_verb *verb,
		   struct ext_command *c, struct verr *e)
{
	bool each = c->range && verb->flags & EXT_EACH;
	const char *path = c->options->secrets_to;
	bool saved = false;
	int rc = -1;

	if (begin(db, c, e) == 0 &&
	    (each ? ext_range_each(db, verb, c, e) : verb->run(db, c, e)) ==
		    0 &&
	    ext_save_made(c, e) == 0) {
		saved = path && !c->options->dry_run;
		rc = c->options->dry_run ? 0 : db_commit(db, e);
	}
	/* A commit without an answer may have happened: the file stays. */
	if (rc == -1 && saved && e->kind != VERR_RETRY)
		unlink(path);
	else if (rc == -1 && saved)
		verr_add(e,
			 "\nhint: '%s' holds the secrets, should it have "
			 "happened",
			 path);
	db_rollback(db);
	if (rc == 0 && ext_print_made(c, e) == -1)
		rc = -1;
	return rc == 0 ? ext_print_removed(c, e) : -1;
}

static int
run_verb(const struct ext_verb *verb, struct ext_command *c, struct verr *e)
{
	bool writes = verb->flags & EXT_WRITES || c->options->fix;
	bool primary = writes || verb->flags & EXT_TRANSACTIONS;
	struct db_options o = { .role = "voip_ext",
				.retry = DB_RETRY_INTERACTIVE,
				.timeout_ms =
					verb->flags & EXT_LONG ? LONG_MS : 0,
				.session_attrs =
					primary ? "read-write" : NULL };
	struct db *db;
	int rc;

	if (verb->flags & EXT_NO_DATABASE)
		return verb->run(NULL, c, e);
	db = db_new(&o, e);
	if (!db)
		return -1;
	rc = writes ? run_in_transaction(db, verb, c, e) : verb->run(db, c, e);
	if (rc == -1 && e->kind == VERR_NOTFOUND && verb->flags & EXT_KEY)
		ext_suggest(db, c, e);
	db_free(db);
	if (rc == 0 && c->faults)
		return verr_set(e, VERR_NOTFOUND, "%zu fault%s found",
				c->faults, c->faults == 1 ? "" : "s");
	return rc;
}

/*
 * "list queue" says the same as "queue list".  No key is a bare word, but the
 * last one of apply is a file.
 */
static void
parse_entity(struct ext_command *c, const struct ext_verb *verb, int *i,
	     int argc, const char **argv)
{
	const struct entity *t = *i < argc ? entity_find(argv[*i]) : NULL;

	if (!t || c->entity_given || (verb->run == ext_apply && *i + 1 == argc))
		return;
	c->entity = t;
	c->entity_given = true;
	++*i;
}

/* NULL: `e` says what is wrong. */
static const struct ext_verb *
parse_verb(struct ext_command *c, int *i, int argc, const char **argv,
	   struct verr *e)
{
	const struct ext_verb *verb;

	c->entity = argc ? entity_find(argv[0]) : NULL;
	c->entity_given = c->entity != NULL;
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
		ext_unknown_word(argv[*i], c->entity_given, e);
	++*i;
	if (verb)
		parse_entity(c, verb, i, argc, argv);
	return verb;
}

/* What follows the verb. */
static int
parse_rest(struct ext_command *c, const struct ext_verb *verb, int argc,
	   const char **argv, struct verr *e)
{
	int i = 0;

	c->argc = argc;
	c->argv = argv;
	if (!(verb->flags & EXT_SELECTS) &&
	    (c->options->fields || c->options->sort || c->options->where))
		return verr_set(e, VERR_USAGE,
				"'%s' takes no --fields, --sort or --where",
				verb->name);
	if (verb->flags & EXT_ARGUMENTS)
		return 0;
	if (verb->flags & EXT_KEY) {
		if (i == argc)
			return verr_set(e, VERR_USAGE, "'%s' needs a key",
					verb->name);
		if (ext_set_key(c, argv[i++], e) == -1 ||
		    (verb->flags & (EXT_RANGES | EXT_EACH) &&
		     ext_range_parse(c, e) == -1))
			return -1;
	}
	if (!(verb->flags & EXT_FIELDS) && i < argc)
		return verr_set(e, VERR_USAGE, "unexpected argument '%s'",
				argv[i]);
	return ext_add_values(c, verb, argc - i, argv + i, e);
}

static int
parse_and_run(struct ext_command *c, int argc, const char **argv,
	      struct verr *e)
{
	int i = 0;
	const struct ext_verb *verb = parse_verb(c, &i, argc, argv, e);

	if (verb && c->options->cascade && !(verb->flags & EXT_CASCADES))
		return verr_set(e, VERR_USAGE, "--cascade is not for '%s'",
				verb->name);
	if (verb && c->options->secrets_to && !(verb->flags & EXT_WRITES))
		return verr_set(e, VERR_USAGE, "--secrets-to is not for '%s'",
				verb->name);
	if (verb && c->options->fix && !(verb->flags & EXT_FIXES))
		return verr_set(e, VERR_USAGE, "--fix is not for '%s'",
				verb->name);
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
	struct ext_command *c = calloc(1, sizeof(*c));
	char **words = copy_words(argc, argv, e);
	int rc = -1;

	ext_hide_secrets(o);
	if (!c)
		verr_set(e, VERR_RETRY, "out of memory");
	if (c && words) {
		c->options = o;
		ext_note_words(c, argc, (const char **)words);
		rc = parse_and_run(c, argc, (const char **)words, e);
		ext_wipe_secrets(c);
		db_result_free(c->removed);
	}
	free_words(words, argc);
	free(c);
	return rc;
}
