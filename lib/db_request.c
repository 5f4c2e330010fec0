/*
 * The list of requests: the sent ones first, in order.  One leaves the list
 * before its callback runs, so a callback may send again.
 */
#include <stdlib.h>
#include <string.h>

#include "db_private.h"
#include "log.h"

static size_t
params_size(int n, const struct db_param *params)
{
	size_t size = 0;

	for (int i = 0; i < n; i++)
		if (params[i].value)
			size += params[i].binary ? params[i].len
						 : strlen(params[i].value) + 1;
	return size;
}

struct db_request *
db_request_new(int n, const struct db_param *params)
{
	struct db_request *r;
	char *to;

	r = calloc(1, sizeof(*r) + (size_t)n * sizeof(*params) +
			      params_size(n, params));
	if (!r)
		return NULL;
	r->params = (struct db_param *)(r + 1);
	r->nparams = n;
	to = (char *)(r->params + n);
	for (int i = 0; i < n; i++) {
		size_t len = params_size(1, &params[i]);

		r->params[i] = params[i];
		if (!params[i].value)
			continue;
		r->params[i].value = memcpy(to, params[i].value, len);
		to += len;
	}
	return r;
}

void
db_request_append(struct db *db, struct db_request *r)
{
	r->next = NULL;
	*db->last = r;
	db->last = &r->next;
	db->pending++;
}

void
db_request_take(struct db *db, struct db_request *r)
{
	struct db_request **p = &db->first;

	while (*p && *p != r)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = r->next;
	if (!*p)
		db->last = p;
	db->pending--;
}

void
db_request_finish(struct db_request *r)
{
	struct db_result result = { .pg = r->result };
	struct db_request **p = &r->db->failed;

	while (*p && *p != r)
		p = &(*p)->next;
	if (*p)
		*p = r->next;
	loop_timer_clear(r->db->loop, &r->timer);
	if (r->fn)
		r->fn(r->error.kind == VERR_NONE ? &result : NULL, &r->error,
		      r->arg);
	else if (r->error.kind != VERR_NONE)
		log_warning("%s", r->error.msg);
	PQclear(r->result);
	free(r);
}

static void
fail_later_fn(void *arg)
{
	db_request_finish(arg);
}

void
db_request_fail_later(struct db_request *r, const struct verr *e)
{
	r->error = *e;
	r->next = r->db->failed;
	r->db->failed = r;
	r->timer.fn = fail_later_fn;
	loop_timer_set(r->db->loop, &r->timer, 0);
}

void
db_request_fail_all(struct db *db, bool sent, const struct verr *e)
{
	struct db_request *r = db->first, *next, *failed = NULL,
			  **tail = &failed;

	for (; r; r = next) {
		next = r->next;
		if (r->sent != sent)
			continue;
		db_request_take(db, r);
		r->error = *e;
		r->next = NULL;
		*tail = r;
		tail = &r->next;
	}
	for (r = failed; r; r = next) {
		next = r->next;
		db_request_finish(r);
	}
}
