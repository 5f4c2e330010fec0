/*
 * confset: the values that one reading of file, environment and options found.
 *
 * Layer text; conf is its user.  A zeroed set is empty.  Values are added from
 * the weakest source to the strongest, and the last one of a key counts.  When
 * a function fails the set is still one to release.
 */
#ifndef CONFSET_H
#define CONFSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conftable.h"
#include "verr.h"

enum conf_source {
	CONF_SOURCE_DEFAULT,
	CONF_SOURCE_FILE,
	CONF_SOURCE_ENVIRONMENT,
	CONF_SOURCE_OPTION,
};

/*
 * One value that is not the default.  For a row with `*` the key is the full
 * name in canonical form, else the row's name.
 */
struct conf_entry {
	const struct conf_row *row;
	char *key;
	char *text;
	int64_t number;
	enum conf_source source;
	unsigned line;
	struct conf_entry *next;
};

struct conf_set {
	struct conf_entry *entries; /* the first of a key counts */
	char *file;
	bool exposed; /* everyone can read a secret in the file */
	/* When not NULL: what is wrong is left out and the rest is taken; the
	 * first fault is told here. */
	struct verr *fault;
};

void conf_set_release(struct conf_set *set);

/*
 * The row that a name belongs to, by exact name or by pattern, or NULL; `key`
 * becomes its key.
 */
const struct conf_row *conf_set_row(const char *name, char *key, size_t size);

/* Borrowed from the set; NULL when the row has its default. */
const struct conf_entry *
conf_set_find(const struct conf_set *set, const struct conf_row *row,
	      const char *key);

/* VERR_CONFIG: unknown, or no value for it. */
int conf_set_add(struct conf_set *set, const char *name, const char *text,
		 enum conf_source source, unsigned line, struct verr *e);

/* NULL: the default file, which may be missing. */
int conf_set_read(struct conf_set *set, const char *path, struct verr *e);

int conf_set_environment(struct conf_set *set, struct verr *e);

/* The variable of a name: VOIP_ and the name in capitals. */
void conf_set_variable(const char *name, char *out, size_t size);

#endif
