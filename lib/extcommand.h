/*
 * extcommand: one command of voip-ext, between its arguments and its verb.
 *
 * Layer domain; private to ext and the files of its verbs.  A verb is a row of
 * the table in ext.c.
 */
#ifndef EXTCOMMAND_H
#define EXTCOMMAND_H

#include "account.h"
#include "ext.h"
#include "out.h"

#define EXT_VALUES 36

enum ext_verb_flag {
	EXT_KEY = 1 << 0,    /* a key follows the verb */
	EXT_FIELDS = 1 << 1, /* then FIELD=VALUE... */
	/* Of what follows, only `argv` is filled: the verb reads it. */
	EXT_ARGUMENTS = 1 << 2,
	/* On the primary, in one transaction that --dry-run rolls back. */
	EXT_WRITES = 1 << 3,
	/* On the primary, and the verb cares for its transactions. */
	EXT_TRANSACTIONS = 1 << 4,
	EXT_NO_DATABASE = 1 << 5,
	EXT_SELECTS = 1 << 6,  /* heeds --fields, --sort and --where */
	EXT_CASCADES = 1 << 7, /* takes --cascade */
	/* Each request may take minutes; `database_timeout` is for short ones.
	 */
	EXT_LONG = 1 << 8,
	EXT_FIXES = 1 << 9, /* takes --fix, and writes only then */
	/* A key may be a range, "1000-1999@...", and the verb knows. */
	EXT_RANGES = 1 << 10,
	/* ... or the verb is run for each of it that there is. */
	EXT_EACH = 1 << 11,
};

struct ext_command;

/* "random" as a value, where each number gets a secret of its own. */
extern const char ext_random[];

/* The digits of a number, and a NUL. */
#define EXT_NUMBER 19

/* The numbers of a range, and the fields as they were written. */
struct ext_range {
	char (*names)[EXT_NUMBER]; /* "" for one that is not there */
	char (*secrets)[ACCOUNT_SECRET];
	size_t n;
	bool random; /* whether there are secrets */
	struct entity_value values[EXT_VALUES];
	struct entity_value user_values[EXT_VALUES];
	size_t values_n, user_values_n;
	char *expanded[EXT_VALUES * 2];
	size_t nexpanded;
};

struct ext_verb {
	const char *name;
	const char *args, *help; /* for --help */
	unsigned flags;
	int (*run)(struct db *db, struct ext_command *c, struct verr *e);
};

struct ext_command {
	const struct ext_options *options;
	const struct entity *entity; /* extension, when none is named */
	bool entity_given;
	const char **argv; /* what follows the verb */
	int argc;
	struct entity_key key;
	char key_text[2 * ENTITY_NAME + 256];
	struct ext_range *range; /* or NULL */
	struct entity_value values[EXT_VALUES];
	size_t n;
	/* An extension's command may hold fields of its user. */
	struct entity_value user_values[EXT_VALUES];
	size_t user_n;
	bool user_made;       /* by add, for the extension */
	const char *template; /* key of it, or NULL */
	char *copied[EXT_VALUES * 2];
	size_t ncopied;
	char *secrets[EXT_VALUES]; /* read or made here */
	size_t nsecrets;
	/* Those to show, and their fields; for a range the field alone. */
	const char *made[EXT_VALUES];
	const char *made_names[EXT_VALUES];
	size_t nmade;
	/* What rm --cascade removed, or NULL, and the user that went too. */
	struct db_result *removed;
	struct entity_key removed_user;
	char words[512]; /* what was typed, without secrets, for the audit */
	size_t faults;   /* that doctor found and did not mend */
};

/* --- extargs.c -------------------------------------------------------- */

/* Overwrite the values of secret fields in the program's own arguments. */
void ext_hide_secrets(const struct ext_options *o);
/* What was read or made. */
void ext_wipe_secrets(struct ext_command *c);
/* FIELD=VALUE...: checked; secrets are read or made. */
int ext_add_values(struct ext_command *c, const struct ext_verb *verb, int argc,
		   const char **argv, struct verr *e);
/* Those secrets that `add` makes and nobody gave. */
int ext_make_secrets(struct ext_command *c, struct verr *e);
int ext_set_key(struct ext_command *c, const char *text, struct verr *e);
/* Fill `words`; values of secret fields are left out. */
void ext_note_words(struct ext_command *c, int argc, const char **argv);
/* The value given for a field of the entity, or NULL. */
const struct entity_value *
ext_value(const struct ext_command *c, const char *name);

/* --- extwrite.c ------------------------------------------------------- */

int ext_add(struct db *db, struct ext_command *c, struct verr *e);
int ext_set(struct db *db, struct ext_command *c, struct verr *e);
/* The two halves of add: what is to be added, and adding it. */
int ext_add_begin(struct db *db, struct ext_command *c, struct verr *e);
int ext_add_end(struct db *db, struct ext_command *c, struct verr *e);
/* The type that the given fields imply, or NULL. */
const char *ext_implied_type(const struct ext_command *c);

/* --- exttemplate.c ---------------------------------------------------- */

/* Add the fields of the template that were not given. */
int ext_template(struct db *db, struct ext_command *c, struct verr *e);

/* --- extrange.c ------------------------------------------------------- */

/* When the key is a range: c->range. */
int ext_range_parse(struct ext_command *c, struct verr *e);
/* Whether a value is another one for each number. */
bool ext_range_varies(const char *value);
int ext_range_add(struct db *db, struct ext_command *c, struct verr *e);
/* The verb for each number that there is. */
int ext_range_each(struct db *db, const struct ext_verb *verb,
		   struct ext_command *c, struct verr *e);
void ext_range_free(struct ext_range *r);

/* --- extcompletion.c -------------------------------------------------- */

/* The shell's completion, made from the tables. */
int ext_completion(struct db *db, struct ext_command *c, struct verr *e);
/* The table of ext.c; ends with a NULL name. */
const struct ext_verb *ext_verbs(void);

/* --- extsuggest.c ----------------------------------------------------- */

/* A word that is no verb, and no entity either when one could stand there. */
void ext_unknown_word(const char *word, bool is_verb, struct verr *e);
/* After VERR_NOTFOUND: a hint at what was meant, if something is near. */
void ext_suggest(struct db *db, const struct ext_command *c, struct verr *e);

/* --- extlist.c -------------------------------------------------------- */

int ext_list(struct db *db, struct ext_command *c, struct verr *e);
int ext_show(struct db *db, struct ext_command *c, struct verr *e);
/* What the field's values are printed as. */
enum out_type ext_out_type(const struct entity_field *f);

/* --- ext.c ------------------------------------------------------------ */

/* The user that an extension points to; VERR_NOTFOUND without one. */
int ext_user_of(struct db *db, const struct ext_command *c,
		struct entity_key *user, struct verr *e);

/* --- extshow.c -------------------------------------------------------- */

/* The secrets that were made, if there are any. */
int ext_print_made(const struct ext_command *c, struct verr *e);
/* ... before the commit, into the file of --secrets-to. */
int ext_save_made(const struct ext_command *c, struct verr *e);

/* --- extlog.c ---------------------------------------------------------- */

/* Is it the number of a change set? */
bool ext_is_change(const char *word);
/* A change set as a line of the log, and field by field. */
int ext_list_change(struct db *db, struct ext_command *c, const char *change,
		    struct verr *e);
int ext_show_change(struct db *db, const struct ext_command *c,
		    const char *change, struct verr *e);

/* --- verbs in files of their own -------------------------------------- */

/* Sets `faults`. */
int ext_verb_doctor(struct db *db, struct ext_command *c, struct verr *e);
/* What rm --cascade removed. */
int ext_print_removed(const struct ext_command *c, struct verr *e);
int ext_verb_rm(struct db *db, struct ext_command *c, struct verr *e);
int ext_verb_log(struct db *db, struct ext_command *c, struct verr *e);
/* VERR_CONFLICT names what stands in the way. */
int ext_verb_undo(struct db *db, struct ext_command *c, struct verr *e);

/* What the proxy finds for a number; VERR_NOTFOUND when nothing. */
int ext_verb_route(struct db *db, struct ext_command *c, struct verr *e);
/* Rows as files have them; see entitybulk.h. */
int ext_apply(struct db *db, struct ext_command *c, struct verr *e);
int ext_export(struct db *db, struct ext_command *c, struct verr *e);

#endif
