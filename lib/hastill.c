#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hafollow_private.h"
#include "hanode.h"
#include "hapeer.h"
#include "log.h"
#include "pgcontrol.h"

/*
 * A peer takes over when it has not heard this node for two adverts or more,
 * and self_fence_after is shorter than that, see keepalived.conf: from DOUBT
 * times of it on the peer is asked.  A busy machine stands still for so long
 * now and then, and is not to be punished for it: only from STANDSTILL times
 * on, as a machine does that was suspended, PostgreSQL is held until the
 * answer.
 */
#define DOUBT      2
#define STANDSTILL 10

/*
 * This process did not run for so long that the peer may have been promoted.
 * What woke up with it takes writes again.  An answer of the time before does
 * not count.
 */
static void
stood_still(struct follow *f, int64_t ms)
{
	struct verr e = VERR_INIT;
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)ms);
	log_event(LOG_LEVEL_WARNING, "stood still", "ms", text, NULL);
	f->doubt_ms = loop_now_ms();
	f->unheard = false;
	f->outdated = *f->nonce != '\0';
	if (ms <= STANDSTILL * conf_ms("self_fence_after"))
		return;
	if (pg_freeze(&e) == -1 || ha_track("frozen", 1, &e) == -1)
		log_error("%s", e.msg);
	f->frozen = true;
}

/* Let it go on. */
static void
thaw(struct follow *f)
{
	struct verr e = VERR_INIT;

	f->doubt_ms = 0;
	if (!f->frozen)
		return;
	f->frozen = false;
	if (pg_thaw(&e) == -1 || ha_track("frozen", 0, &e) == -1)
		log_error("%s", e.msg);
}

void
still_end(struct follow *f)
{
	if (f->doubt_ms)
		thaw(f);
}

void
still_on_beat(struct follow *f)
{
	int64_t now = loop_now_ms(), last = f->beat_ms;

	f->beat_ms = now;
	if (f->vrrp == HA_VRRP_MASTER && !f->doubt_ms && last &&
	    now - last > DOUBT * conf_ms("self_fence_after"))
		stood_still(f, now - last);
}

static void
thaw_if_alone(struct follow *f)
{
	if (f->doubt_ms && f->unheard &&
	    (!*conf_str("witnesses") || f->seen_ms >= f->doubt_ms))
		thaw(f);
}

void
still_on_peer(struct follow *f, const struct ha_state *peer)
{
	if (!f->doubt_ms || f->stale || strcmp(f->question, HA_ASK_STATE) != 0)
		return;
	f->unheard = !peer;
	if (!peer) {
		thaw_if_alone(f);
	} else if (peer->pg == HA_PG_PRIMARY ||
		   (peer->pg == HA_PG_HUNG && peer->kept.held) ||
		   strcmp(peer->kept.doing, "promote") == 0) {
		f->stale = true;
		follow_next(f);
	} else {
		thaw(f);
	}
}

void
still_on_witness(struct follow *f)
{
	thaw_if_alone(f);
}
