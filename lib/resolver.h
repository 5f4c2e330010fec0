/*
 * resolver: the answer to a lookup, from memory or from the database.
 *
 * Layer domain.  In this order:
 *   1. from memory, while it is fresh (cache.h);
 *   2. from the database.  Lookups of one key that meet are one question, and
 *      all of them get its answer;
 *   3. while no database answers: what was known, for `dirxml_stale_for`;
 *   4. VERR_RETRY: it cannot be known now.
 *
 * Coherence.  Changes are told on the primary only (NOTIFY), and a standby may
 * lag behind what it told; so questions go to the server that takes writes,
 * while a connection to it listens: over that one, or others that are made
 * after it and share the load (dbpool.h).  While there is none, questions go
 * to any server of the connection string; nobody tells changes then, and an
 * answer counts until its time to live is over.  When the connection that
 * listens is back, everything is asked anew.
 *
 * Changes that name a row count at once.  Others come in bursts (an import),
 * and make much old: the first counts at once, those of the following tenth of
 * a second together at its end.
 *
 * A question that has been under way for a quarter of a second keeps nobody
 * waiting who can have a stale answer; its answer is kept all the same.
 */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <stdbool.h>

#include "brake.h"
#include "buf.h"
#include "lookup.h"
#include "loop.h"
#include "verr.h"

struct resolver;

/*
 * NULL: why is in `e`.  The caller frees it with resolver_free().  `brake` is
 * borrowed; it is told whom the database trusts.
 */
struct resolver *
resolver_new(struct loop *loop, struct brake *brake, struct verr *e);
void resolver_free(struct resolver *v);
/* The settings were read anew; what is wrong in them is logged. */
void resolver_reload(struct resolver *v);

struct resolved {
	bool found;
	bool stale;
	const char *body; /* the domain is in lower case; or "not found" */
	size_t len;
	const struct verr *e; /* why there is no answer, or NULL */
};

/*
 * A lookup that outlives its request, shared by whoever waits for its answer
 * and whoever asked.
 */
struct asked {
	unsigned users;
	struct lookup lookup;
};
void asked_release(struct asked *asked);

/*
 * True when it is known: from memory, or because such a lookup finds nothing.
 * Completes the lookup (answer_question()).  `answer` is borrowed until the
 * next call of this module.
 */
bool
resolver_known(struct resolver *v, struct lookup *l, struct resolved *answer);

/* "Not found", as of now and whatever the database has.  As above. */
void resolver_not_found(struct resolver *v, struct resolved *answer);

typedef void (*resolver_fn)(const struct resolved *answer, void *arg);

struct resolver_wait;

/*
 * Ask.  `fn` is called once, never from within the call, unless
 * resolver_forget() comes first.  NULL when there is no memory.
 */
struct resolver_wait *resolver_ask(struct resolver *v, struct asked *asked,
				   resolver_fn fn, void *arg);
void resolver_forget(struct resolver_wait *wait);

/* Can the database be asked, and if not, is there anything to answer with? */
bool resolver_are_current(const struct resolver *v);
bool resolver_are_stale(const struct resolver *v);
/* Bring the gauges up to date. */
void resolver_measure(const struct resolver *v);

#endif
