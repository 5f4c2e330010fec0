/*
 * answer: from a lookup to its document.
 *
 * Layer domain.  Three steps with nothing between them but values, so that an
 * answer can be kept, or built again from kept rows: a lookup gives a
 * statement with its parameters (answer_question()); the database gives rows,
 * in one round trip; rows give the document (answer_document()).  A document
 * depends on the settings, the rows and what answer_key() says, on nothing
 * else, but for its secrets: those are sealed in the rows, and opened only
 * where they are sent.
 *
 * How each question of lookup.h is answered is one row of the table in
 * answer.c; the rows are in directory.h, fsconfig.h and dialplan.h.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include "buf.h"
#include "db.h"
#include "fssettings.h"
#include "lookup.h"
#include "verr.h"

#define QUESTION_PARAMS 8

struct question {
	const char *sql;      /* a constant; NULL: not found, without asking */
	const char *sql_many; /* struct answer's */
	int nparams;
	struct db_param params[QUESTION_PARAMS]; /* text; borrow from the
						    lookup and from here */
	char domain[256];                        /* in lower case */
	/* Of a dialled number. */
	char caller[65];
	char service[16];
	char service_name[129];
};

struct answer {
	const char *sql;
	/* Fill the parameters; false: nothing can be found. */
	bool (*ask)(struct question *q, struct lookup *l,
		    const struct fs_settings *s);
	/* As answer_document(), for rows that are there. */
	int (*build)(struct buf *out, const struct lookup *l,
		     const struct db_result *r, const struct fs_settings *s,
		     struct verr *e);
	/*
	 * NULL, or the same for many keys: each parameter is an array of text,
	 * a row's last column is the place (from 1) of its key in them, and a
	 * key has one row at most.
	 */
	const char *sql_many;
};

/*
 * Completes the lookup too: whether its X-VOIP headers are believed, and with
 * them its tenant, is decided here.
 */
void answer_question(struct question *q, struct lookup *l,
		     const struct fs_settings *s);

/* For `ask`: a tenant that is not the lookup's, in lower case. */
void question_domain(struct question *q, const char *domain);

/* Append what tells this question apart from all others. */
void
answer_key(struct buf *key, const struct lookup *l, const struct question *q);

/*
 * Append the document.  Returns 1; 0 when the rows mean "not found" (nothing
 * is appended); -1 when there is no memory.  A secret that cannot be opened is
 * logged and left out.
 */
int answer_document(struct buf *out, const struct lookup *l,
		    const struct db_result *r, const struct fs_settings *s,
		    struct verr *e);

/*
 * For builders: open the secret in a row, sealed for COLUMN:KEY@DOMAIN (a NULL
 * domain: COLUMN:KEY).  False, logged, when it cannot be opened; also false
 * when there is none.  The caller ends with answer_wipe().
 */
bool
answer_open(struct buf *secret, const struct db_result *r, int row, int column,
	    const char *name, const char *key, const char *domain);
void answer_wipe(struct buf *secret);

#endif
