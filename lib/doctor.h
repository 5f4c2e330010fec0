/*
 * doctor: what is wrong in the directory although each row keeps its rules.
 *
 * Layer domain.  doctortable.c has a row for each check: an SQL statement whose
 * rows are the findings, or a function for what SQL cannot say.  Adding a check
 * is adding a row.  Checks read only, so they work on a standby; a check with a
 * `fix` can mend what it found, in the caller's transaction.
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "db.h"
#include "out.h"
#include "verr.h"

struct doctor;

struct doctor_check {
	const char *name;
	const char *severity; /* error: calls fail; warning; notice */
	const char *entity;   /* of what is found */
	/*
	 * $1 is the domain to look at, or null.  Columns: id, key, what is
	 * wrong, and the entity when it varies.  NULL: `run` does it.
	 */
	const char *sql;
	int (*run)(struct doctor *d, const struct doctor_check *k,
		   struct verr *e);
	const char *hint;
	/* Mends the rows with ids $1::bigint[]; NULL: people must decide. */
	const char *fix;
};

extern const struct doctor_check doctor_checks[]; /* ends with a NULL name */

/* Passwords that are tried first, separated by spaces. */
#define DOCTOR_GUESSES                                                       \
	"0000 1111 1234 12345 123456 1234567 12345678 123456789 4321 admin " \
	"changeme password passwort secret sip test voip"

/* One examination; zeroed but for the first four. */
struct doctor {
	struct db *db;
	const char *domain; /* NULL: all */
	bool fix;
	struct out *out; /* gets DOCTOR_COLUMNS */
	size_t found, fixed;
	struct buf ids; /* of the check that runs */
};

#define DOCTOR_COLUMNS 7
extern const struct out_column doctor_columns[DOCTOR_COLUMNS];

/* One check, with its fix when that is wanted. */
int doctor_run(struct doctor *d, const struct doctor_check *k, struct verr *e);
/* For functions of checks.  `id` NULL: nothing that could be mended. */
void
doctor_found(struct doctor *d, const struct doctor_check *k, const char *entity,
	     const char *id, const char *key, const char *what);

/* Patterns that no call reaches, since others take all their numbers. */
int
doctor_patterns(struct doctor *d, const struct doctor_check *k, struct verr *e);
/* The same by an emergency number's. */
int doctor_emergency(struct doctor *d, const struct doctor_check *k,
		     struct verr *e);
/* Sealed secrets that are easy to guess. */
int doctor_guessable(struct doctor *d, const struct doctor_check *k,
		     struct verr *e);
/* Sealed secrets that do not open. */
int
doctor_sealed(struct doctor *d, const struct doctor_check *k, struct verr *e);
/* PINs that no phone can type. */
int
doctor_dialled(struct doctor *d, const struct doctor_check *k, struct verr *e);

#endif
