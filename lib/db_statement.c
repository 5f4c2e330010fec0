/* The statements that a connection has prepared, and their parameters. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db_private.h"

int
db_statement_place(struct db *db, const char *sql, bool *is_new)
{
	size_t place = DB_STATEMENTS;

	for (size_t i = 0; i < db->nstatements; i++) {
		const char *known = db->statements[i].sql;

		if (known && strcmp(known, sql) == 0) {
			*is_new = !db->statements[i].prepared;
			db->statements[i].prepared = true;
			return (int)i;
		}
		if (!known)
			place = i; /* its Parse failed: the name is free */
	}
	*is_new = true;
	if (place == DB_STATEMENTS) {
		if (db->nstatements == DB_STATEMENTS)
			return -1;
		place = db->nstatements++;
	}
	/* A copy: the caller's text may be put together and freed. */
	db->statements[place] = (struct db_statement){
		.sql = strdup(sql),
		.prepared = true,
	};
	return db->statements[place].sql ? (int)place : -1;
}

void
db_statement_name(char name[16], int place)
{
	if (place < 0)
		name[0] = '\0';
	else
		snprintf(name, 16, "s%d", place);
}

void
db_statement_forget(struct db *db, int place)
{
	if (place < 0)
		return;
	free(db->statements[place].sql);
	db->statements[place].sql = NULL;
}

void
db_pq_params(struct db_pq_params *to, int n, const struct db_param *from)
{
	assert(n <= DB_MAX_PARAMS);
	for (int i = 0; i < n; i++) {
		to->values[i] = from[i].value;
		to->lengths[i] = from[i].binary ? (int)from[i].len : 0;
		to->formats[i] = from[i].binary;
	}
}
