/*
 * resolver_private: what the files of resolver share.  Nothing else includes
 * it.
 *
 * Layer domain.  A question that a lookup asks the database is a struct ask,
 * from ask_new() until everybody who waits has been told; all of them are in
 * the resolver's table by their key, those that wait for a connection in its
 * queue, too.
 */
#ifndef RESOLVER_PRIVATE_H
#define RESOLVER_PRIVATE_H

#include "answer.h"
#include "brake.h"
#include "buf.h"
#include "cache.h"
#include "changes.h"
#include "db.h"
#include "dbpool.h"
#include "depends.h"
#include "resolver.h"
#include "snapshot.h"

#define ASK_BUCKETS 256
#define HURRY_MS    20 /* less time than this is not worth a question */

struct resolver_wait {
	struct resolver_wait *next;
	resolver_fn fn;
	void *arg;
	bool is_first; /* whose question it is */
};

/* A question under way. */
struct ask {
	struct ask *next, **place;
	struct resolver *resolver;
	struct asked *asked;
	struct resolver_wait *first, **last;
	struct question question;
	struct buf key;
	uint64_t ticket;
	uint64_t hash;
	int64_t began_ms;
	struct loop_timer patience;
	struct db *db;      /* that was asked last, NULL: none yet */
	struct ask *behind; /* in the queue */
	bool queued;
	bool is_late;   /* its time of patience is over */
	bool again;     /* the writer's own connection, when another failed */
	bool elsewhere; /* not at the server that listens */
	bool alone;     /* not among others: with them it failed */
};

struct resolver {
	struct loop *loop;
	struct db *writer;   /* and listener */
	struct dbpool *pool; /* of connections to the same server */
	struct db *any;      /* not connected before it is needed */
	struct brake *brake;
	struct cache *cache;
	struct changes *changes;
	struct snapshot *snapshot;
	struct fs_settings settings;
	int64_t deadline_ms;
	int64_t ttl_ms[DEPENDS_TTL_COUNT];
	int64_t negative_ms;
	int64_t stale_ms;
	uint64_t first_generation;
	struct ask *asks[ASK_BUCKETS];
	struct ask *queue, **queue_end;
	struct loop_timer queue_timer;
	size_t many; /* statements under way for what was in the queue */
	struct buf key;
	struct buf document;
};

/* --- resolver.c ------------------------------------------------------- */

bool
resolver_key(struct buf *key, const struct lookup *l, const struct question *q);
/* What memory has, with its generation, in v->document. */
void resolver_give(struct resolver *v, const struct cache_entry *entry,
		   struct resolved *answer);
bool resolver_may_be_stale(const struct resolver *v, enum cache_state state,
			   const struct cache_entry *entry);
/*
 * The end of a document in v->document, "not found" when `found` is false: it
 * gets its generation, and the answer the document.  Those of one program grow
 * with each change, and with each start.
 */
void resolver_finish(struct resolver *v, bool found, uint64_t ticket,
		     struct resolved *answer);

/* --- resolver_ask.c ---------------------------------------------------- */

int64_t ask_time_left(const struct ask *ask);
/* About to be sent over `db`: its answer is as current as that. */
void ask_note_sent(struct ask *ask, struct db *db);
/* With the rows, or what went wrong; the ask is over or sent again. */
void ask_answered(struct ask *ask, const struct db_result *result);
void ask_failed(struct ask *ask, const struct verr *e);
/* By itself. */
void ask_send(struct ask *ask);

/* --- resolver_many.c --------------------------------------------------- */

/* Send it with those that come meanwhile. */
void many_add(struct ask *ask);
void many_start(struct resolver *v);
/* The end: what waits in the queue is told so. */
void many_stop(struct resolver *v);

#endif
