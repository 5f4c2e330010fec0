/*
 * loop: one thread, one epoll, timers.
 *
 * Layer I/O.  Everything a program waits for is a descriptor or a timer of its
 * loop: HTTP connections, the database socket, signals, deadlines.  Callbacks
 * may add and remove descriptors and timers, their own too.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "verr.h"

struct loop;

/* The caller frees it with loop_free(). */
struct loop *loop_new(struct verr *e);
void loop_free(struct loop *l);

typedef void (*loop_fd_fn)(int fd, unsigned events, void *arg);

/* `events` are epoll's (EPOLLIN, EPOLLOUT); level-triggered. */
int loop_add_fd(struct loop *l, int fd, unsigned events, loop_fd_fn fn,
		void *arg, struct verr *e);
void loop_modify_fd(struct loop *l, int fd, unsigned events);
/* Before the descriptor is closed; unknown descriptors are ignored. */
void loop_remove_fd(struct loop *l, int fd);

typedef void (*loop_timer_fn)(void *arg);

/*
 * Lives in the caller's struct, which must clear it before it goes;
 * zero-initialised means not set.
 */
struct loop_timer {
	loop_timer_fn fn;
	void *arg;
	/* Private: the place in a pairing heap, so that setting a timer needs
	 * no memory and cannot fail. */
	int64_t at_ms;
	struct loop_timer *child;
	struct loop_timer *next;
	struct loop_timer *prev; /* the sibling before it, or the parent */
	bool is_set;
};

/*
 * (Re)arm: fires once, `in_ms` from now.  A timer that is set within a timer's
 * callback fires in the next turn at the earliest.
 */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t in_ms);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/*
 * Run `fn` once when the callbacks of this turn have ended.  False when there
 * is no memory for it; a timer of 0 ms does the same and cannot fail.
 */
bool loop_defer(struct loop *l, loop_timer_fn fn, void *arg);

/* Until loop_stop(); or one turn that waits `max_ms` at most, -1 for ever. */
int loop_run(struct loop *l, struct verr *e);
int loop_turn(struct loop *l, int64_t max_ms, struct verr *e);
void loop_stop(struct loop *l);

int64_t loop_now_ms(void); /* CLOCK_MONOTONIC */

#endif
