/*
 * ext: the verbs of voip-ext over the entity table.
 *
 * Layer domain.  Each command is one transaction.  Secrets are read here ("-":
 * a line of standard input, "random": made and returned once) and wiped.
 */
#ifndef EXT_H
#define EXT_H

#include <stdbool.h>

#include "buf.h"
#include "entity.h"
#include "out.h"
#include "verr.h"

struct ext_options {
	const char *domain; /* of list, or NULL */
	bool dry_run;       /* do it, show it, and roll back */
	bool cascade;       /* of rm: with all that points to it */
	/* Of list and show, see entityquery.h; NULL without. */
	const char *fields;
	const char *sort;
	const char **where; /* ends with NULL */
	bool secrets;       /* of export */
	/* A new file for the secrets that are made; NULL: standard output. */
	const char *secrets_to;
	/* Of log: NULL is all; limit 0 is the verb's own. */
	const char *since;
	const char *until;
	const char *who;
	int limit;
	bool fix; /* of doctor: mend what is safe */
	/* Of apply, see bulk.h. */
	bool prune, all_domains, partial;
	const char *rejects;
	enum out_format format;
	/*
	 * The program's own arguments, which everybody can read: values of
	 * secret fields are overwritten there as soon as they are copied.
	 */
	int argc;
	char **argv;
};

/* [ENTITY] VERB [KEY] [field=value...] */
int ext_run(const struct ext_options *o, int argc, const char **argv,
	    struct verr *e);

/* The verbs and entities, for --help. */
void ext_help(struct buf *b);

#endif
