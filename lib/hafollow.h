/*
 * hafollow: the service: keepalived's FIFO, the peer's questions, the clock.
 *
 * Layer domain.  The one reader of the notify FIFO: lines that came together
 * collapse to the last state.  Transitions run in workers, one at a time, so
 * the peer has an answer at any moment; a demand of the peer to stop writing
 * goes before anything that waits.  A tick looks whether all is as it should
 * be, and a primary that has neither peer nor witnesses for self_fence_after
 * stops by itself.
 */
#ifndef HAFOLLOW_H
#define HAFOLLOW_H

#include "service.h"

extern const struct service ha_follow;

#endif
