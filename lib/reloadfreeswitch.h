/*
 * reloadfreeswitch: FreeSWITCH as one of voip-reload's peers.
 *
 * Layer domain.  Sends each command over the event socket (esl.h); what begins
 * with @ is a task of reloadtask.h.
 *
 * A gateway that is there is not changed by a rescan, and one that is killed
 * goes away within a second or two, so a rescan waits for
 * `freeswitch_gateway_wait` after the last killgw.
 */
#ifndef RELOADFREESWITCH_H
#define RELOADFREESWITCH_H

#include "db.h"
#include "esl.h"
#include "reloadpeer.h"

struct reload_trunk;

struct reload_freeswitch {
	struct reload_peer peer; /* the caller sets idle and arg */
	struct esl *esl;
	struct db *db; /* borrowed, attached to the loop */
	char profile[65];
	long ring_seconds;
	bool agents_available;
	int64_t wait_ms;
	int64_t killed_ms;  /* the last killgw; 0: never */
	bool told_database; /* that it is away */
	/* Of the task under way. */
	unsigned step;
	struct buf answers[3];
	/* Trunks as they were last seen. */
	struct reload_trunk *trunks;
	size_t n_trunks;
};

int reload_freeswitch_init(struct reload_freeswitch *f, struct loop *l,
			   struct db *db, struct verr *e);
/* Nothing for one that was never made; the db is freed before. */
void reload_freeswitch_release(struct reload_freeswitch *f);

#endif
