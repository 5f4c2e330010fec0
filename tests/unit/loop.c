/* loop: order and clearing of timers, events, deferred calls. */

#include "loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "unit.h"

static char said[64];
static char one[] = "1", two[] = "2", a_[] = "a", b_[] = "b", c_[] = "c",
	    d_[] = "d", nothing_said[] = "";

static void
say(void *arg)
{
	strncat(said, arg, sizeof(said) - strlen(said) - 1);
}

static void
test_timers_fire_in_order(void)
{
	struct verr e = VERR_INIT;
	struct loop *l = loop_new(&e);
	struct loop_timer t[4] = {
		{ .fn = say, .arg = d_ },
		{ .fn = say, .arg = a_ },
		{ .fn = say, .arg = c_ },
		{ .fn = say, .arg = b_ },
	};

	said[0] = '\0';
	loop_timer_set(l, &t[0], 40);
	loop_timer_set(l, &t[1], 1);
	loop_timer_set(l, &t[2], 20);
	loop_timer_set(l, &t[3], 10);
	loop_timer_clear(l, &t[2]);
	loop_timer_clear(l, &t[2]);
	while (t[0].is_set)
		CHECK(loop_turn(l, -1, &e) == 0);
	CHECK_STR(said, "abd");
	loop_free(l);
}

/* The heap against a plain search for the smallest. */
static int fired;
static int64_t last_at;

struct check_timer {
	struct loop_timer timer;
	int64_t at;
};

static void
in_order(void *arg)
{
	struct check_timer *c = arg;

	CHECK(c->timer.at_ms >= last_at);
	last_at = c->timer.at_ms;
	fired++;
}

static void
test_many_timers(void)
{
	enum { N = 500 };
	static struct check_timer t[N];
	struct verr e = VERR_INIT;
	struct loop *l = loop_new(&e);
	int left = 0;

	srandom(1);
	fired = 0;
	last_at = 0;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < N; i++) {
			t[i].timer.fn = in_order;
			t[i].timer.arg = &t[i];
			if (random() % 3 == 0)
				loop_timer_clear(l, &t[i].timer);
			else
				loop_timer_set(l, &t[i].timer, random() % 30);
		}
	}
	for (int i = 0; i < N; i++)
		left += t[i].timer.is_set;
	for (int64_t end = loop_now_ms() + 5000;
	     fired < left && loop_now_ms() < end;)
		loop_turn(l, 10, &e);
	CHECK(fired == left);
	loop_free(l);
}

struct again {
	struct loop *loop;
	struct loop_timer timer;
	int runs;
};

static void
set_again(void *arg)
{
	struct again *a = arg;

	a->runs++;
	loop_timer_set(a->loop, &a->timer, 0);
}

static void
test_a_timer_that_sets_itself_runs_once_a_turn(void)
{
	struct verr e = VERR_INIT;
	struct again a = { .loop = loop_new(&e) };

	a.timer.fn = set_again;
	a.timer.arg = &a;
	loop_timer_set(a.loop, &a.timer, 0);
	loop_turn(a.loop, -1, &e);
	CHECK(a.runs == 1);
	loop_turn(a.loop, -1, &e);
	CHECK(a.runs == 2);
	loop_timer_clear(a.loop, &a.timer);
	loop_free(a.loop);
}

static struct loop *shared;
static int reads;

/* Whoever is first takes the other away: its event must not come. */
static void
remove_other(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	loop_remove_fd(shared, *(int *)arg);
	reads++;
}

static void
test_a_removed_descriptor_gets_no_event(void)
{
	struct verr e = VERR_INIT;
	int a[2], b[2];

	shared = loop_new(&e);
	reads = 0;
	CHECK(pipe(a) == 0 && pipe(b) == 0);
	CHECK(loop_add_fd(shared, a[0], EPOLLIN, remove_other, &b[0], &e) == 0);
	CHECK(loop_add_fd(shared, b[0], EPOLLIN, remove_other, &a[0], &e) == 0);
	CHECK(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
	CHECK(loop_turn(shared, 0, &e) == 0);
	CHECK(reads == 1);
	CHECK(loop_add_fd(shared, -1, EPOLLIN, remove_other, NULL, &e) == -1);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	loop_free(shared);
}

static void
defer_more(void *arg)
{
	(void)arg;
	say(one);
	CHECK(loop_defer(shared, say, two));
}

static void
test_deferred_calls_run_once_after_the_turn(void)
{
	struct verr e = VERR_INIT;

	shared = loop_new(&e);
	said[0] = '\0';
	CHECK(loop_defer(shared, defer_more, NULL));
	loop_turn(shared, -1, &e);
	CHECK_STR(said, "1");
	loop_turn(shared, -1, &e);
	CHECK_STR(said, "12");
	loop_turn(shared, 0, &e);
	CHECK_STR(said, "12");
	loop_free(shared);
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
test_run_ends_at_stop(void)
{
	struct verr e = VERR_INIT;
	struct loop *l = loop_new(&e);
	struct loop_timer t = { .fn = stop, .arg = l };

	loop_timer_set(l, &t, 20);
	CHECK(loop_run(l, &e) == 0);
	loop_free(l);
}

static void
nothing(int fd, unsigned events, void *arg)
{
	(void)fd;
	(void)events;
	(void)arg;
}

static void
without_memory(bool may_fail)
{
	struct verr e = VERR_INIT;
	struct loop *l = loop_new(&e);
	int fd;

	if (!l) {
		CHECK(may_fail && e.kind == VERR_RETRY);
		return;
	}
	fd = dup(0);
	if (loop_add_fd(l, fd, EPOLLIN, nothing, NULL, &e) == -1)
		CHECK(may_fail || e.kind == VERR_SYSTEM);
	CHECK(loop_defer(l, say, nothing_said) || may_fail);
	loop_turn(l, 0, &e);
	close(fd);
	loop_free(l);
}

int
main(void)
{
	test_timers_fire_in_order();
	test_many_timers();
	test_a_timer_that_sets_itself_runs_once_a_turn();
	test_a_removed_descriptor_gets_no_event();
	test_deferred_calls_run_once_after_the_turn();
	test_run_ends_at_stop();
	CHECK(unit_each_failure(without_memory) >= 2);
	return unit_end();
}
