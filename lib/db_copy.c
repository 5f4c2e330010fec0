/* COPY in both directions. */
#include <poll.h>
#include <string.h>

#include "db_private.h"

/* --- in --------------------------------------------------------------- */

int
db_copy_begin(struct db *db, const char *copy_sql, struct verr *e)
{
	PGresult *r = NULL;
	int rc;

	if (db_ensure(db, e) == -1)
		return -1;
	if (!PQsendQuery(db->conn, copy_sql))
		return db_not_sent(db, e);
	if (db_collect(db, &r, e) == -1)
		return -1;
	rc = PQresultStatus(r) == PGRES_COPY_IN
		     ? 0
		     : verr_set(e, VERR_BUG, "'%s' is no copy from stdin",
				copy_sql);
	PQclear(r);
	return rc;
}

int
db_copy_data(struct db *db, const char *data, size_t len, struct verr *e)
{
	int64_t deadline = loop_now_ms() + db_timeout_ms(db);

	while (len && db->conn) {
		int part = len > (1 << 20) ? 1 << 20 : (int)len, rc;

		rc = PQputCopyData(db->conn, data, part);
		if (rc == -1)
			return db_not_sent(db, e);
		if (rc == 1) {
			data += part;
			len -= (size_t)part;
		}
		if (rc == 0 && db_flush(db, deadline, e) == -1) {
			db_disconnect(db);
			return -1;
		}
	}
	return len ? db_error_lost(db, e) : 0;
}

int
db_copy_end(struct db *db, struct verr *e)
{
	int64_t deadline = loop_now_ms() + db_timeout_ms(db);
	int rc;

	if (!db->conn)
		return db_error_lost(db, e);
	while ((rc = PQputCopyEnd(db->conn, NULL)) == 0) {
		if (db_flush(db, deadline, e) == -1) {
			db_disconnect(db);
			return -1;
		}
	}
	return rc == 1 ? db_collect(db, NULL, e) : db_not_sent(db, e);
}

void
db_copy_field(struct buf *row, const char *s, size_t len)
{
	static const char special[] = "\\\t\n\r\b\f\v";
	static const char letter[] = "\\tnrbfv";

	if (!s) {
		buf_puts(row, "\\N");
		return;
	}
	for (size_t i = 0; i < len;) {
		size_t run = i;
		const char *p = NULL;

		while (run < len && s[run] &&
		       !(p = memchr(special, s[run], sizeof(special) - 1)))
			run++;
		buf_add(row, s + i, run - i);
		if (run < len && p) {
			buf_putc(row, '\\');
			buf_putc(row, letter[p - special]);
		}
		/* A NUL, which text cannot hold, is left out. */
		i = run + 1;
	}
}

/* --- out -------------------------------------------------------------- */

/* The byte that a letter after a backslash stands for. */
static char
unescape(char c)
{
	static const char letter[] = "tnrbfv", special[] = "\t\n\r\b\f\v";
	const char *p = c ? strchr(letter, c) : NULL;

	return p ? special[p - letter] : c;
}

/* Cut a line of the text format into its fields, in place. */
static int
split_line(char *line, size_t len, const char *values[DB_COPY_COLUMNS])
{
	char *from = line, *to = line, *end = line + len;
	int n = 0;

	while (n < DB_COPY_COLUMNS) {
		char *start = to;
		bool is_null = end - from >= 2 && from[0] == '\\' &&
			       from[1] == 'N' &&
			       (from + 2 == end || from[2] == '\t');

		while (from < end && *from != '\t') {
			if (*from == '\\' && from + 1 < end) {
				*to++ = unescape(from[1]);
				from += 2;
			} else {
				*to++ = *from++;
			}
		}
		values[n++] = is_null ? NULL : start;
		if (from == end) {
			*to = '\0';
			break;
		}
		from++;
		*to++ = '\0';
	}
	return n;
}

/* One row, or the end: 1, 0, or -1. */
static int
next_row(struct db *db, char **line, struct verr *e)
{
	for (;;) {
		int n = PQgetCopyData(db->conn, line, 1);
		int64_t deadline;

		if (n > 0)
			return n;
		if (n == -1)
			return 0;
		if (n == -2)
			return db_error_lost(db, e);
		deadline = loop_now_ms() + db_timeout_ms(db);
		if (db_wait_socket(db, POLLIN, deadline, -1) != 1)
			return db_error_deadline(db_timeout_ms(db), e);
		if (!PQconsumeInput(db->conn))
			return db_error_lost(db, e);
	}
}

static int
copy_rows(struct db *db, db_row_fn fn, void *arg, struct verr *e)
{
	const char *values[DB_COPY_COLUMNS];
	char *line;
	int len, n, rc = 0;

	while (rc == 0 && (len = next_row(db, &line, e)) > 0) {
		size_t end = (size_t)len;

		if (end && line[end - 1] == '\n')
			end--;
		n = split_line(line, end, values);
		rc = fn(values, n, arg, e);
		PQfreemem(line);
	}
	return rc == 0 && len == -1 ? -1 : rc;
}

int
db_copy_out(struct db *db, const char *copy_sql, db_row_fn fn, void *arg,
	    struct verr *e)
{
	PGresult *r = NULL;
	bool is_copy;

	if (db_ensure(db, e) == -1)
		return -1;
	if (!PQsendQuery(db->conn, copy_sql))
		return db_not_sent(db, e);
	if (db_collect(db, &r, e) == -1)
		return -1;
	is_copy = PQresultStatus(r) == PGRES_COPY_OUT;
	PQclear(r);
	if (!is_copy)
		return verr_set(e, VERR_BUG, "'%s' is no copy to stdout",
				copy_sql);
	if (copy_rows(db, fn, arg, e) == -1) {
		/* What is left of the copy is not waited for. */
		db_disconnect(db);
		return -1;
	}
	return db_collect(db, NULL, e);
}
