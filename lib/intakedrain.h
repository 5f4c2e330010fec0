/*
 * intakedrain: the spool's records into the database, oldest first.
 *
 * Layer domain.  A part of intake.h, whose connection and spool it borrows.  A
 * transaction takes a thousand records; one that the database refuses for good
 * is found by halving.  What fails is tried again after a second, then after
 * twice as long each time up to half a minute.  While another process drains,
 * it waits in the same way.
 */
#ifndef INTAKEDRAIN_H
#define INTAKEDRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"
#include "loop.h"
#include "spool.h"

struct intake_drain {
	struct loop *loop;
	struct db *db;
	struct spool *spool;
	const bool *spooling; /* that the database refuses is told already */
	struct loop_timer timer;
	int64_t pause_ms;
	bool is_under_way;
	size_t max;
	char **names; /* what the INSERT holds */
	size_t n;
};

/* Everything is borrowed; `db` is attached to `loop`. */
void intake_drain_init(struct intake_drain *d, struct loop *loop, struct db *db,
		       struct spool *spool, const bool *spooling);
/* Nothing for one that was never initialised; the db is freed before. */
void intake_drain_release(struct intake_drain *d);

/* There is something in the spool: after the pause. */
void intake_drain_later(struct intake_drain *d);
/* If there is something in the spool. */
void intake_drain_now(struct intake_drain *d);

#endif
