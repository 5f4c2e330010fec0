/*
 * Questions that meet, as one statement.  For most of them the database does
 * the same: begin, start a plan, answer, end; and each is a message to another
 * process.  So while each connection has a statement under way, what comes is
 * collected for the next.  Who comes alone is asked for at the end of the
 * loop's turn.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver_private.h"

#define MANY_MAX 32

struct many {
	struct resolver *resolver;
	int count;
	struct ask *asks[MANY_MAX];
};

static void flush(struct resolver *v);

/* --- answers ---------------------------------------------------------- */

/* One that the database refuses must not take the others with it. */
static void
failed(struct many *m, const struct verr *e)
{
	for (int i = 0; i < m->count; i++) {
		if (e->kind == VERR_RETRY || m->count == 1) {
			ask_failed(m->asks[i], e);
		} else {
			m->asks[i]->alone = true;
			ask_send(m->asks[i]);
		}
	}
}

static void
answered(struct many *m, struct db_result *result)
{
	int rows[MANY_MAX], place = db_columns(result) - 1;

	for (int i = 0; i < m->count; i++)
		rows[i] = -1;
	for (int row = 0; row < db_rows(result); row++) {
		long n = strtol(db_value(result, row, place), NULL, 10);

		if (n >= 1 && n <= m->count)
			rows[n - 1] = row;
	}
	for (int i = 0; i < m->count; i++) {
		db_show(result, rows[i] == -1 ? 0 : rows[i], rows[i] != -1);
		ask_answered(m->asks[i], result);
	}
}

static void
on_many(struct db_result *result, const struct verr *e, void *arg)
{
	struct many *m = arg;
	struct resolver *v = m->resolver;

	v->many--;
	if (e->kind != VERR_NONE)
		failed(m, e);
	else if (m->count == 1)
		ask_answered(m->asks[0], result);
	else
		answered(m, result);
	free(m);
	flush(v);
}

/* --- questions -------------------------------------------------------- */

static struct ask *
take(struct resolver *v)
{
	struct ask *ask = v->queue;

	v->queue = ask->behind;
	if (!v->queue)
		v->queue_end = &v->queue;
	ask->behind = NULL;
	ask->queued = false;
	return ask;
}

static void
fail_first(struct resolver *v, const char *why)
{
	struct verr e = VERR_INIT;

	verr_set(&e, VERR_RETRY, "%s", why);
	ask_failed(take(v), &e);
}

/* Those in front with one statement. */
static void
collect(struct resolver *v, struct many *m)
{
	const char *sql = v->queue->question.sql_many;

	while (v->queue && m->count < MANY_MAX &&
	       v->queue->question.sql_many == sql)
		m->asks[m->count++] = take(v);
}

/* Each parameter of them all, as an array; false without memory. */
static bool
send_arrays(struct many *m, struct db *db)
{
	const struct question *first = &m->asks[0]->question;
	struct db_param params[QUESTION_PARAMS];
	struct buf arrays[QUESTION_PARAMS];
	bool complete = true;

	for (int p = 0; p < first->nparams; p++) {
		struct buf *b = &arrays[p];

		*b = BUF_INIT;
		db_array_begin(b, DB_ARRAY_TEXT);
		for (int i = 0; i < m->count; i++) {
			const char *s = m->asks[i]->question.params[p].value;

			db_array_add(b, s, strlen(s));
		}
		db_array_end(b);
		params[p] = DB_BYTES(b->data, b->len);
		complete = complete && !buf_failed(b);
	}
	if (complete)
		db_send(db, first->sql_many, first->nparams, params,
			ask_time_left(m->asks[0]), on_many, m);
	for (int p = 0; p < first->nparams; p++)
		buf_release(&arrays[p]);
	return complete;
}

static void
send(struct many *m, struct db *db)
{
	const struct question *q = &m->asks[0]->question;
	struct verr e = VERR_INIT;

	m->resolver->many++;
	for (int i = 0; i < m->count; i++)
		ask_note_sent(m->asks[i], db);
	if (m->count == 1) {
		db_send(db, q->sql, q->nparams, q->params,
			ask_time_left(m->asks[0]), on_many, m);
	} else if (!send_arrays(m, db)) {
		verr_set(&e, VERR_RETRY, "out of memory for questions");
		m->resolver->many--;
		failed(m, &e);
		free(m);
	}
}

static void
flush(struct resolver *v)
{
	struct many *m;

	while (v->queue && v->many < dbpool_up(v->pool)) {
		if (ask_time_left(v->queue) <= HURRY_MS) {
			fail_first(v, "the database could not be asked in "
				      "time");
			continue;
		}
		m = calloc(1, sizeof(*m));
		if (!m) {
			fail_first(v, "out of memory for questions");
			continue;
		}
		m->resolver = v;
		collect(v, m);
		send(m, dbpool_choose(v->pool));
	}
	if (v->queue)
		dbpool_grow(v->pool);
}

static void
on_turn(void *arg)
{
	flush(arg);
}

void
many_add(struct ask *ask)
{
	struct resolver *v = ask->resolver;

	ask->queued = true;
	ask->behind = NULL;
	*v->queue_end = ask;
	v->queue_end = &ask->behind;
	if (!v->queue_timer.is_set)
		loop_timer_set(v->loop, &v->queue_timer, 0);
}

/* --- life ------------------------------------------------------------- */

void
many_start(struct resolver *v)
{
	v->queue_end = &v->queue;
	v->queue_timer = (struct loop_timer){ .fn = on_turn, .arg = v };
}

void
many_stop(struct resolver *v)
{
	loop_timer_clear(v->loop, &v->queue_timer);
	while (v->queue)
		fail_first(v, "the program ends");
}
