/*
 * reloadpeer: the commands that one peer is still to get.
 *
 * Layer domain.  An ordered list without repetitions, sent one at a time.  What
 * the peer cannot take now is tried again, first after 100 ms, then after twice
 * as long each time up to ten seconds.  A peer that was there and went away may
 * have lost what it knew, so its list is dropped for a resync when it is back;
 * so is a list that became too long.  Thus memory is bounded and nothing is
 * lost.
 *
 * The one that makes the struct fills the hooks and calls reload_peer_init();
 * each send() is followed by one reload_peer_done(), in it or later.
 */
#ifndef RELOADPEER_H
#define RELOADPEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "verr.h"

#define RELOAD_PENDING_MAX 4096

struct reload_peer {
	const char *name;
	struct loop *loop;
	void (*send)(struct reload_peer *p, const char *command);
	/* Put the commands of a resync. */
	void (*resync)(struct reload_peer *p);
	/* May it be asked?  NULL: always. */
	bool (*is_up)(struct reload_peer *p);
	/* There is nothing more to send. */
	void (*idle)(void *arg);
	void *arg; /* of idle */

	/* Private. */
	struct reload_item *first, *asked;
	size_t n;
	struct loop_timer timer;
	int64_t backoff_ms;
	bool is_away;
	bool was_up;
	bool wants_resync;
	bool told_away;  /* logged */
	struct verr why; /* it is away */
	unsigned applied, refused;
	int64_t since_ms; /* of the first of those */
};

void reload_peer_init(struct reload_peer *p);
void reload_peer_release(struct reload_peer *p);

void reload_peer_put(struct reload_peer *p, const char *command);

enum reload_outcome {
	RELOAD_DONE,
	RELOAD_REFUSED, /* `e` is what it said; nothing more can be done */
	RELOAD_LATER,   /* not now, after `in_ms`; others go first */
	RELOAD_AGAIN,   /* refused, perhaps not for ever; a few times */
	RELOAD_AWAY,    /* no answer; `e` says why */
};

void reload_peer_done(struct reload_peer *p, enum reload_outcome outcome,
		      int64_t in_ms, const struct verr *e);

/* RELOAD_REFUSED; the first line of `answer` says why. */
void reload_peer_refused(struct reload_peer *p, const char *answer);

/* For peers with a connection: it is there (`e` is NULL), or lost. */
void reload_peer_state(struct reload_peer *p, const struct verr *e);

/* The command that is under way. */
const char *reload_peer_asked(const struct reload_peer *p);

bool reload_peer_is_idle(const struct reload_peer *p);

#endif
