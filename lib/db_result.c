/* What a result holds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "db_private.h"

int
db_rows(const struct db_result *r)
{
	return r->is_part ? r->count : PQntuples(r->pg);
}

void
db_show(struct db_result *r, int first, int count)
{
	r->is_part = true;
	r->first = first;
	r->count = count;
}

int
db_columns(const struct db_result *r)
{
	return PQnfields(r->pg);
}

const char *
db_value(const struct db_result *r, int row, int column)
{
	if (PQgetisnull(r->pg, r->first + row, column))
		return NULL;
	return PQgetvalue(r->pg, r->first + row, column);
}

const char *
db_field(const struct db_result *r, int row, const char *column)
{
	int i = 0, n = PQnfields(r->pg);

	while (i < n && strcmp(PQfname(r->pg, i), column) != 0)
		i++;
	assert(i < n);
	return db_value(r, row, i);
}

size_t
db_length(const struct db_result *r, int row, int column)
{
	return (size_t)PQgetlength(r->pg, r->first + row, column);
}

bool
db_is_true(const struct db_result *r, int row, int column)
{
	const char *value = db_value(r, row, column);

	return value && value[0] == 't';
}

long
db_affected(const struct db_result *r)
{
	return strtol(PQcmdTuples(r->pg), NULL, 10);
}

int
db_bytea(const struct db_result *r, int row, int column, struct buf *out,
	 struct verr *e)
{
	const char *text = db_value(r, row, column);
	unsigned char *bytes;
	size_t len;

	if (!text)
		return 0;
	bytes = PQunescapeBytea((const unsigned char *)text, &len);
	if (bytes)
		buf_add(out, bytes, len);
	PQfreemem(bytes);
	if (!bytes || buf_failed(out))
		return verr_set(e, VERR_RETRY, "out of memory");
	return 0;
}

void
db_result_free(struct db_result *r)
{
	if (!r)
		return;
	PQclear(r->pg);
	free(r);
}
