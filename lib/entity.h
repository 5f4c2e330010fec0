/*
 * entity: the things of the directory, from one table.
 *
 * Layer domain.  entitytable.c has a row for each entity and each of its
 * fields.  From it come the shell's verbs, the parameterised SQL (identifiers
 * from the table only, values as parameters only), the names of what is shown,
 * the masking of secrets, and the help.  Adding an entity is adding rows, and
 * its table in sql/.
 *
 * A key is a name ("carrier1"), a name in a domain ("1001@pbx.example.com"), or
 * a name below a parent in a domain ("support/1001@pbx.example.com").
 */
#ifndef ENTITY_H
#define ENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "db.h"
#include "valid.h"
#include "verr.h"

enum entity_type {
	ENTITY_TEXT,
	ENTITY_INT, /* `words` is its range, "1..100"; NULL: 0 and up */
	ENTITY_BOOL,
	ENTITY_CHOICE,    /* one of `words` */
	ENTITY_JSON,      /* an object */
	ENTITY_TIME,      /* shown in UTC, ISO 8601; see moment.h */
	ENTITY_CIDR,      /* an address or a network */
	ENTITY_CIDRS,     /* several, with commas */
	ENTITY_REFERENCE, /* `words` names the entity it points to */
	ENTITY_PASSWORD,  /* becomes HA1; see account.h */
	ENTITY_SEALED,    /* kept encrypted; see secret.h */
	ENTITY_HASHED,    /* only its SHA-256 is kept: for what is random */
};

enum entity_flag {
	ENTITY_REQUIRED = 1 << 0, /* `add` needs it */
	ENTITY_READONLY = 1 << 1,
	ENTITY_DEFAULT = 1 << 2, /* not null: empty means the default */
	ENTITY_DETAIL = 1 << 3,  /* in `show`, not in the table of `list` */
	ENTITY_MADE = 1 << 4,    /* a secret that `add` makes by itself */
	/* A reference that is emptied when what it points to is removed with
	 * --cascade; without this flag the row goes too. */
	ENTITY_LETS_GO = 1 << 5,
	ENTITY_OWN = 1 << 6,     /* of one alone: a template does not give it */
	ENTITY_DIALLED = 1 << 7, /* a secret for the keys of a phone */
};

struct entity_field {
	const char *name;
	const char *column;
	enum entity_type type;
	unsigned flags;
	const char *words;
	valid_fn check; /* may be NULL */
	const char *help;
};

struct entity {
	const char *name;
	const char *table; /* in schema voip */
	const char *help;
	bool in_domain;     /* keys end with @DOMAIN */
	const char *parent; /* entity that keys begin with, or NULL */
	const char *parent_column;
	/* The field that is the key, its first one; it may be a reference. */
	const struct entity_field *fields; /* ends with a NULL name */
};

extern const struct entity entities[]; /* ends with a NULL name */

const struct entity *entity_find(const char *name);
const struct entity_field *
entity_field_find(const struct entity *t, const char *name);
const char *entity_type_name(enum entity_type type);
/* A password, a PIN, a key: never shown, never on a command line for long. */
bool entity_is_secret(const struct entity_field *f);
/* The nearest name for a hint, or NULL. */
const char *entity_field_suggest(const struct entity *t, const char *name);

/* Room for a name: the schema admits 128 characters, of four bytes each. */
#define ENTITY_NAME 513

struct entity_key {
	char parent[ENTITY_NAME];
	char name[ENTITY_NAME];
	char domain[256];
};

int entity_key_parse(struct entity_key *key, const struct entity *t,
		     const char *text, struct verr *e);
/* "1001@pbx.example.com", as it was parsed. */
void entity_key_format(struct buf *out, const struct entity *t,
		       const struct entity_key *key);

/* A field with its new value; `value` is "" to empty it. */
struct entity_value {
	const struct entity_field *field;
	const char *value;
};

/*
 * Is the value right for its field?  Names the field, the row by its `key`,
 * value and rule; with NULL the entity alone, with "" the field alone.
 */
int entity_check(const struct entity *t, const char *key,
		 const struct entity_value *v, struct verr *e);

/* --- in a transaction of the caller ------------------------------------ */

/* The row's id, locked; VERR_NOTFOUND names entity and key. */
int entity_id(struct db *db, const struct entity *t,
	      const struct entity_key *key, char id[24], struct verr *e);
/*
 * The same for a row that is only pointed to, such as the domain of a new user:
 * not locked, which would want the right to change it and make all of them
 * wait; the foreign key holds it.
 */
int entity_target_id(struct db *db, const struct entity *t,
		     const struct entity_key *key, char id[24], struct verr *e);
int
entity_add(struct db *db, const struct entity *t, const struct entity_key *key,
	   const struct entity_value *values, size_t n, struct verr *e);
int
entity_set(struct db *db, const struct entity *t, const struct entity_key *key,
	   const struct entity_value *values, size_t n, struct verr *e);
/* VERR_CONFLICT names what uses it. */
int entity_remove(struct db *db, const struct entity *t,
		  const struct entity_key *key, struct verr *e);
/*
 * With all that points to it, directly or not; a reference that can be empty
 * (ENTITY_LETS_GO) is emptied instead.  `*r` has a row for each, in the order
 * in which it was done: "remove" or "empty", entity, key, field, and what it
 * pointed to.
 */
int entity_remove_cascade(struct db *db, struct db_result **r,
			  const struct entity *t, const struct entity_key *key,
			  struct verr *e);
/* What points to the row, as "extension '1001@...', ..."; "" when nothing. */
int entity_users(struct db *db, const struct entity *t, const char *id,
		 struct buf *out, struct verr *e);

/*
 * Rows in the order of domain and key: column 0 is the key, the others are the
 * fields after the key's, in their order.  `domain` and `key` may be NULL.
 */
int entity_list(struct db *db, struct db_result **r, const struct entity *t,
		const char *domain, const struct entity_key *key,
		const struct entity_value *filters, size_t n, struct verr *e);

/*
 * Who is to blame, for voip.change: what this transaction does from here on.
 * `command` is what people typed, without secrets.
 */
int entity_actor(struct db *db, const char *command, struct verr *e);

#endif
