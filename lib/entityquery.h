/*
 * entityquery: which rows of an entity, which columns, in what order.
 *
 * Layer domain.  What people write ("type=queue", "-created_at,key") becomes a
 * query of the entity table's own columns: identifiers from the table, values
 * as parameters.  Each type has its operators, and its values are checked
 * before the database sees them.
 *
 *	struct entity_query q;
 *
 *	entity_query_init(&q, entity);
 *	entity_query_fields(&q, "key,type", e);         none: all columns
 *	entity_query_where(&q, "max_calls>=5", e);      as often as wanted
 *	entity_query_sort(&q, "-created_at,key", e);    none: domain and key
 *	entity_query_each(db, &q, fn, arg, e);
 *
 * Besides the fields there are the columns "key", the whole key, which also
 * has the entity's name, "domain" of what is in one, and the parent's name of
 * what has one ("queue" of a member).
 *
 * Texts are borrowed for as long as the query is used.
 */
#ifndef ENTITYQUERY_H
#define ENTITYQUERY_H

#include "entity.h"
#include "moment.h"

#define ENTITY_COLUMNS    48
#define ENTITY_CONDITIONS 32
#define ENTITY_SORTS      8

enum entity_column_kind {
	ENTITY_COLUMN_FIELD,
	ENTITY_COLUMN_KEY,  /* the whole key */
	ENTITY_COLUMN_NAME, /* its own part of it */
	ENTITY_COLUMN_PARENT,
	ENTITY_COLUMN_DOMAIN,
};

struct entity_column {
	const char *name; /* as it is written and printed */
	enum entity_column_kind kind;
	const struct entity_field *field; /* the first one but for FIELD */
};

enum entity_operator {
	ENTITY_EQ,
	ENTITY_NE,
	ENTITY_LT,
	ENTITY_LE,
	ENTITY_GT,
	ENTITY_GE,
	ENTITY_HAS,    /* ~: text: anywhere, any case; networks: the address */
	ENTITY_BEGINS, /* ^= */
	ENTITY_OPERATORS,
};

struct entity_condition {
	struct entity_column column;
	enum entity_operator op;
	const char *value; /* NULL: `time` */
	char time[MOMENT_TEXT];
};

struct entity_sort {
	struct entity_column column;
	bool descending;
};

struct entity_query {
	const struct entity *entity;
	const char *domain;           /* may be NULL */
	const struct entity_key *key; /* may be NULL */
	struct entity_column columns[ENTITY_COLUMNS];
	size_t ncolumns;
	struct entity_condition conditions[ENTITY_CONDITIONS];
	size_t nconditions;
	struct entity_sort sorts[ENTITY_SORTS];
	size_t nsorts;
	int limit; /* rows at most; 0: all */
};

/* Every row, every column, in the order of domain and key. */
void entity_query_init(struct entity_query *q, const struct entity *t);
int
entity_query_fields(struct entity_query *q, const char *names, struct verr *e);
int
entity_query_sort(struct entity_query *q, const char *names, struct verr *e);
/* FIELD OPERATOR VALUE, blanks around the operator or none. */
int
entity_query_where(struct entity_query *q, const char *text, struct verr *e);

/* All rows at once; free `*r`. */
int entity_query_run(struct db *db, struct db_result **r,
		     const struct entity_query *q, struct verr *e);

/* `values` has an entry for each column; -1 ends the query. */
typedef int (*entity_row_fn)(const char *const *values, void *arg,
			     struct verr *e);
/*
 * Row by row in constant memory, in a transaction of its own: there is none
 * open.  Also on a standby.
 */
int entity_query_each(struct db *db, const struct entity_query *q,
		      entity_row_fn fn, void *arg, struct verr *e);

/* VERR_USAGE with the nearest name of a field. */
int entity_no_field(const struct entity *t, const char *name, struct verr *e);

#endif
