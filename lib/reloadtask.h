/*
 * reloadtask: what FreeSWITCH gets by difference.
 *
 * Layer domain.  A task is found among the commands of a peer: what FreeSWITCH
 * has is asked of it, what it should have of the database, and what makes the
 * one the other is put behind the commands that wait.
 *   @callcenter  queues, agents and tiers (reloadcenter.h);
 *   @gateways    the gateways of `gateway_profile` against the trunks.
 *
 * In @gateways those are killed that are no trunk of ours any more, and those
 * whose trunk was changed since this process last looked; at its first look
 * that is all of them.
 *
 * While the database is away a task is tried again each second.
 */
#ifndef RELOADTASK_H
#define RELOADTASK_H

#include "reloadfreeswitch.h"

/* The command under way, reload_peer_asked(); ends with reload_peer_done(). */
void reload_task_begin(struct reload_freeswitch *f);

/* What a task asks first, ends with NULL; NULL: that is no task. */
const char *const *reload_task_questions(const char *command);

#endif
