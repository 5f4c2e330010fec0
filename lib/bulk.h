/*
 * bulk: a file of rows, and the database brought to what it says.
 *
 * Layer domain.  The rows are checked one by one as they are read and copied
 * into a temporary table for each entity (bulkrow, bulkstage).  Then, in one
 * transaction and entity by entity in the order of bulk_order(), joins find
 * what each row means (bulkplan), what cannot be is told (bulkcheck), and only
 * what differs is written (bulkwrite), so that audit and notifications are of
 * what changed.  bulkreject keeps the list of what is wrong.
 *
 * Nothing is locked while the file is read.  Two that write at once wait for
 * each other.
 */
#ifndef BULK_H
#define BULK_H

#include <stdint.h>

#include "bulkfile.h"
#include "entitybulk.h"
#include "progress.h"

struct bulk_options {
	const char *path;          /* "-": standard input */
	const struct entity *only; /* of rows that do not say, or NULL */
	const char *domain;        /* every row must be of it; or NULL */
	bool prune;                /* remove what the file lacks */
	bool all_domains;    /* ... in domains that it does not name too */
	const char *rejects; /* write what is wrong here and go on, or NULL */
	bool dry_run;        /* plan, do, and roll back */
	const char *command; /* for the audit, see entity_actor() */
};

/* What is done to an entity. */
struct bulk_table {
	const struct entity *t;
	struct bulk_column columns[BULK_COLUMNS]; /* by their words */
	size_t ncolumns;
	/* What is staged of a row: columns, not the words for them. */
	struct bulk_column slots[BULK_COLUMNS];
	size_t n;
	bool staged;                  /* its temporary table is there */
	char *defaults[BULK_COLUMNS]; /* of the slots, as SQL; NULL: none */
	struct buf rows;
	uint64_t given_any, given_all; /* of all lines; slot i is bit i */
	bool pruned;                   /* "gone" holds what the file lacks */
	bool sealed;                   /* some line gives a sealed secret */
	long lines, added, changed, removed, refused;
};

struct bulk_error {
	long line; /* 0: of no line */
	int64_t offset;
	size_t size;
	char *reason; /* "extension '1001@...': field ..." */
};

struct bulk {
	struct db *db;
	const struct bulk_options *o;
	struct bulk_file file;
	struct bulk_table tables[BULK_ENTITIES]; /* in order; ends without t */
	bool json; /* else CSV, when something was read */
	/* The columns of CSV; borrowed from `header`. */
	const char *names[BULK_COLUMNS * 2];
	int nnames;
	struct buf header;
	struct buf rejects; /* the name that they are written under */
	struct bulk_error *errors;
	size_t nerrors, errors_size;
	int races;    /* how often all was planned anew */
	bool gave_up; /* too much was wrong to read on */
	struct progress progress;
};

/* The counts, also when nothing was done. */
struct bulk_counts {
	long added, changed, removed, unchanged, rejected;
	bool taken; /* committed, or planned */
};

/*
 * Do it.  VERR_INPUT when lines were wrong: without `rejects` nothing is
 * changed; each error was then handed to `complain`, up to a limit.  In a dry
 * run `plan` gets action (add, change, remove), entity, key, field, old, new.
 */
typedef void (*bulk_complain_fn)(const struct verr *e);
int bulk_apply(struct db *db, const struct bulk_options *o,
	       struct bulk_counts *counts, db_row_fn plan, void *arg,
	       bulk_complain_fn complain, struct verr *e);

/* --- private to the files of bulk -------------------------------------- */

struct bulk_table *bulk_table_of(struct bulk *b, const struct entity *t);

/* bulkreject.c */
int bulk_reject(struct bulk *b, long line, int64_t offset, size_t size,
		struct verr *e, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* What was wrong, with its hint on the same line. */
int bulk_reject_verr(struct bulk *b, const struct bulk_record *r,
		     const char *what, const struct verr *why, struct verr *e);
/* Lines that are wrong, sorted by line; how many. */
long bulk_sort_errors(struct bulk *b);
void bulk_errors_release(struct bulk *b);
/*
 * Written under another name before the commit and published after it: the
 * file may be the one that was read, which is still needed until then.
 */
int bulk_check_rejects(const struct bulk *b, struct verr *e);
int bulk_write_rejects(struct bulk *b, struct verr *e);
int bulk_publish_rejects(struct bulk *b, struct verr *e);
/* Removes what was not published. */
void bulk_rejects_release(struct bulk *b);

/* bulkparse.c: a record as names with values */
struct bulk_row {
	const char *entity, *key; /* NULL: not given */
	struct bulk_member {
		const char *name, *value; /* "" for null */
		enum { BULK_SCALAR, BULK_LIST, BULK_OBJECT } form;
	} members[BULK_COLUMNS * 2];
	size_t n;
	void *json;
	char *owned[BULK_COLUMNS * 2 + 4]; /* entity, key, reason */
	size_t nowned;
};
/* -1 with VERR_INPUT: the record is wrong, VERR_RETRY: no memory. */
int bulk_parse(struct bulk *b, struct bulk_row *row,
	       const struct bulk_record *r, struct verr *e);
void bulk_row_release(struct bulk_row *row);

/* bulkrow.c: a record checked and staged, or rejected */
int bulk_take(struct bulk *b, const struct bulk_record *r, struct verr *e);

/* bulkstage.c */
int bulk_stage(struct bulk *b, struct bulk_table *tab,
	       const struct bulk_record *r, const struct entity_key *key,
	       uint64_t given, const char *const *slots, struct verr *e);
int bulk_stage_flush(struct bulk *b, struct bulk_table *tab, struct verr *e);

/* bulkplan.c: temporary table "want": what is to be written */
int bulk_plan(struct bulk *b, struct bulk_table *tab, struct verr *e);
/* Keep what is planned for the dry run's answer. */
int bulk_plan_note(struct bulk *b, struct bulk_table *tab, struct verr *e);

/* bulkcheck.c: rejects rows of "want" and takes them out of it */
/*
 * Those of `sql`, whose columns are x_line, x_record, x_size, a reason and the
 * key; they are taken out of the temporary table "stage" or "want".
 */
long bulk_check_rows(struct bulk *b, struct bulk_table *tab,
		     const struct buf *sql, const char *from, struct verr *e);
int bulk_check(struct bulk *b, struct bulk_table *tab, struct verr *e);
/* After a refusal: by the table's constraints; how many it found, or -1. */
long bulk_check_rules(struct bulk *b, struct bulk_table *tab, struct verr *e);

/* bulkwrite.c */
int bulk_write(struct bulk *b, struct bulk_table *tab, struct verr *e);
/*
 * Was this of somebody who wrote at the same time: a key that the checks had
 * not seen, a row that is gone, a deadlock?  False after BULK_RACES times.
 */
#define BULK_RACES 3
bool bulk_is_race(const struct bulk *b, const struct verr *e);

/* bulkprune.c */
int bulk_prune_scope(struct bulk *b, struct verr *e);
int bulk_prune_find(struct bulk *b, struct bulk_table *tab, struct verr *e);
int bulk_prune(struct bulk *b, struct bulk_table *tab, struct verr *e);

#endif
