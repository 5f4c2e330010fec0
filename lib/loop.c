#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct watch {
	loop_fd_fn fn; /* NULL: not watched */
	void *arg;
	/* An event of this turn may name a descriptor that a callback closed
	 * and another opened again: it counts only for its generation. */
	uint32_t generation;
};

struct deferred {
	loop_timer_fn fn;
	void *arg;
};

struct loop {
	int epoll_fd;
	bool stopped;
	struct watch *watches; /* by descriptor */
	size_t watches_size;
	struct loop_timer *timers; /* the root: the earliest */
	bool in_timers;
	int64_t timers_now;
	struct deferred *deferred;
	size_t deferred_len;
	size_t deferred_size;
};

int64_t
loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct loop *
loop_new(struct verr *e)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd == -1) {
		verr_sys(e, VERR_SYSTEM, "cannot create an epoll descriptor");
		free(l);
		return NULL;
	}
	return l;
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	close(l->epoll_fd);
	free(l->watches);
	free(l->deferred);
	free(l);
}

/* --- descriptors ------------------------------------------------------ */

static int
make_room(struct loop *l, int fd, struct verr *e)
{
	size_t size = l->watches_size ? l->watches_size : 64;
	struct watch *grown;

	if ((size_t)fd < l->watches_size)
		return 0;
	while (size <= (size_t)fd)
		size *= 2;
	grown = realloc(l->watches, size * sizeof(*grown));
	if (!grown)
		return verr_set(e, VERR_RETRY, "out of memory");
	memset(grown + l->watches_size, 0,
	       (size - l->watches_size) * sizeof(*grown));
	l->watches = grown;
	l->watches_size = size;
	return 0;
}

static int
control(const struct loop *l, int op, int fd, unsigned events)
{
	struct epoll_event event = { .events = events };

	event.data.u64 =
		(uint64_t)l->watches[fd].generation << 32 | (uint32_t)fd;
	return epoll_ctl(l->epoll_fd, op, fd, &event);
}

int
loop_add_fd(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *arg,
	    struct verr *e)
{
	struct watch *w;

	if (fd < 0)
		return verr_set(e, VERR_BUG, "bad descriptor %d", fd);
	if (make_room(l, fd, e) == -1)
		return -1;
	w = &l->watches[fd];
	w->generation++;
	if (control(l, EPOLL_CTL_ADD, fd, events) == -1)
		return verr_sys(e, VERR_SYSTEM, "cannot watch descriptor %d",
				fd);
	w->fn = fn;
	w->arg = arg;
	return 0;
}

static bool
is_watched(const struct loop *l, int fd)
{
	return fd >= 0 && (size_t)fd < l->watches_size && l->watches[fd].fn;
}

void
loop_modify_fd(struct loop *l, int fd, unsigned events)
{
	if (is_watched(l, fd))
		control(l, EPOLL_CTL_MOD, fd, events);
}

void
loop_remove_fd(struct loop *l, int fd)
{
	if (!is_watched(l, fd))
		return;
	control(l, EPOLL_CTL_DEL, fd, 0);
	l->watches[fd].fn = NULL;
	l->watches[fd].generation++;
}

/* --- timers: a pairing heap ------------------------------------------- */

static struct loop_timer *
meld(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *later;

	if (!a)
		return b;
	if (!b)
		return a;
	if (b->at_ms < a->at_ms) {
		later = a;
		a = b;
	} else {
		later = b;
	}
	later->prev = a;
	later->next = a->child;
	if (later->next)
		later->next->prev = later;
	a->child = later;
	return a;
}

/* Pairs from the left, then the pairs from the right: O(log n) in the mean. */
static struct loop_timer *
meld_siblings(struct loop_timer *first)
{
	struct loop_timer *pairs = NULL, *root = NULL, *a, *b;

	while (first) {
		a = first;
		b = a->next;
		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		a = pairs;
		pairs = a->next;
		a->next = NULL;
		root = meld(root, a);
	}
	return root;
}

void
loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *rest;

	if (!t->is_set)
		return;
	rest = meld_siblings(t->child);
	if (t == l->timers) {
		l->timers = rest;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		l->timers = meld(l->timers, rest);
	}
	t->child = t->next = t->prev = NULL;
	t->is_set = false;
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, int64_t in_ms)
{
	loop_timer_clear(l, t);
	t->at_ms = loop_now_ms() + (in_ms > 0 ? in_ms : 0);
	if (l->in_timers && t->at_ms <= l->timers_now)
		t->at_ms = l->timers_now + 1;
	t->is_set = true;
	l->timers = meld(l->timers, t);
}

static void
run_timers(struct loop *l)
{
	struct loop_timer *t;

	if (!l->timers)
		return;
	l->in_timers = true;
	l->timers_now = loop_now_ms();
	while ((t = l->timers) && t->at_ms <= l->timers_now) {
		loop_timer_clear(l, t);
		t->fn(t->arg);
	}
	l->in_timers = false;
}

/* --- turns ------------------------------------------------------------ */

bool
loop_defer(struct loop *l, loop_timer_fn fn, void *arg)
{
	size_t size = l->deferred_size ? l->deferred_size * 2 : 16;
	struct deferred *grown;

	if (l->deferred_len == l->deferred_size) {
		grown = realloc(l->deferred, size * sizeof(*grown));
		if (!grown)
			return false;
		l->deferred = grown;
		l->deferred_size = size;
	}
	l->deferred[l->deferred_len++] = (struct deferred){ fn, arg };
	return true;
}

/* What they defer themselves waits for the next turn. */
static void
run_deferred(struct loop *l)
{
	size_t n = l->deferred_len;

	for (size_t i = 0; i < n; i++) {
		struct deferred d = l->deferred[i];

		d.fn(d.arg);
	}
	if (n == 0)
		return;
	l->deferred_len -= n;
	memmove(l->deferred, l->deferred + n,
		l->deferred_len * sizeof(*l->deferred));
}

static int64_t
shorter(int64_t a, int64_t b)
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

static int
wait_ms(struct loop *l, int64_t max_ms)
{
	int64_t left;

	if (l->deferred_len > 0 || l->stopped)
		return 0;
	if (l->timers) {
		left = l->timers->at_ms - loop_now_ms();
		max_ms = shorter(max_ms, left > 0 ? left : 0);
	}
	return max_ms > INT_MAX ? INT_MAX : (int)max_ms;
}

int
loop_turn(struct loop *l, int64_t max_ms, struct verr *e)
{
	struct epoll_event events[64];
	int n = epoll_wait(l->epoll_fd, events,
			   sizeof(events) / sizeof(events[0]),
			   wait_ms(l, max_ms));

	if (n == -1 && errno != EINTR)
		return verr_sys(e, VERR_SYSTEM, "cannot wait for events");
	for (int i = 0; i < n; i++) {
		int fd = (int)(uint32_t)events[i].data.u64;
		/* A callback may move the array by adding a descriptor. */
		struct watch w = l->watches[fd];

		if (w.fn && w.generation == events[i].data.u64 >> 32)
			w.fn(fd, events[i].events, w.arg);
	}
	run_timers(l);
	run_deferred(l);
	return 0;
}

int
loop_run(struct loop *l, struct verr *e)
{
	l->stopped = false;
	while (!l->stopped)
		if (loop_turn(l, -1, e) == -1)
			return -1;
	return 0;
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
}
