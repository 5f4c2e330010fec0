#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "hafollow_private.h"
#include "hanode.h"
#include "hapeer.h"
#include "log.h"
#include "pairfile.h"
#include "witness.h"

#define BEAT_MS   INT64_C(100)
#define SILENT_MS INT64_C(1000) /* of a peer, for voip-healthd */

void
follow_tell_isolated(struct follow *f, bool isolated)
{
	struct verr e = VERR_INIT;

	if (f->isolated != isolated)
		log_event(isolated ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
			  "isolated", "state", isolated ? "yes" : "no", NULL);
	f->isolated = isolated;
	if (ha_track("isolated", isolated, &e) == -1)
		log_error("%s", e.msg);
}

/* The verdict of a node depends on what the other could do instead. */
static void
tell_health(struct follow *f, const struct ha_state *peer, const char *why)
{
	struct verr e = VERR_INIT;

	if (peer)
		f->word_ms = loop_now_ms();
	else if (loop_now_ms() - f->word_ms < SILENT_MS)
		return;
	if (pairfile_tell_peer(peer, why, &e) == -1)
		log_warning("%s", e.msg);
}

static void ask_peer(struct follow *f);

/*
 * Somebody is there, and what he says cannot be used: another key, a refusal,
 * rubbish.  That is told once, and is no silence.
 */
static void
on_unclear(struct follow *f, const struct verr *why)
{
	if (strncmp(f->unclear, why->msg, sizeof(f->unclear) - 1) != 0)
		log_warning("peer: %s", why->msg);
	snprintf(f->unclear, sizeof(f->unclear), "%.199s", why->msg);
	f->in_vain = 0;
	tell_health(f, NULL, why->msg);
	still_on_peer(f, NULL);
}

static void
on_lease(long status, const struct buf *answer_, const struct verr *failure,
	 void *arg)
{
	struct follow *f = arg;
	struct verr e = VERR_INIT;
	struct ha_state peer;
	char nonce[PEER_NONCE];

	memcpy(nonce, f->nonce, sizeof(nonce));
	*f->nonce = '\0';
	if (f->outdated) {
		f->outdated = false;
		ask_peer(f);
		return;
	}
	if (failure && failure->kind == VERR_RETRY) {
		if (++f->in_vain == HA_PEER_SILENCE) /* told once */
			log_warning("peer: %s", failure->msg);
		f->in_vain_ms = loop_now_ms();
		tell_health(f, NULL, failure->msg);
		still_on_peer(f, NULL);
		return;
	}
	if (failure || ha_peer_answer(status, answer_, f->key, f->question,
				      nonce, &peer, &e) == -1) {
		on_unclear(f, failure ? failure : &e);
		return;
	}
	*f->unclear = '\0';
	tell_health(f, &peer, "");
	if (f->in_vain >= HA_PEER_SILENCE)
		log_info("peer: answers again");
	f->in_vain = 0;
	f->heard_ms = loop_now_ms();
	still_on_peer(f, &peer);
	if (f->isolated)
		follow_tell_isolated(f, false);
	if (peer.pg != f->peer_pg || peer.timeline != f->peer_timeline) {
		f->peer_pg = peer.pg;
		f->peer_timeline = peer.timeline;
		follow_anew(f);
	}
	if (peer.pg == HA_PG_PRIMARY && f->vrrp == HA_VRRP_MASTER &&
	    follow_word(f) == HA_VRRP_MASTER) {
		f->look_now = true;
		follow_next(f);
	}
}

/* Whoever stood still wants to know what is, not what was last seen. */
static void
ask_peer(struct follow *f)
{
	struct buf url = BUF_INIT, request = BUF_INIT;
	struct verr e = VERR_INIT;

	if (*f->nonce)
		return;
	f->asked_ms = loop_now_ms();
	f->question = f->doubt_ms ? HA_ASK_STATE : HA_ASK_LEASE;
	if (ha_peer_request(f->question, f->key, &url, &request, f->nonce,
			    &e) == -1 ||
	    httpc_post(f->http, url.data, "text/plain", request.data,
		       conf_ms("peer_timeout"), PEER_BODY_MAX, on_lease, f,
		       &e) == -1) {
		*f->nonce = '\0';
		log_warning("%s", e.msg);
	}
	buf_release(&url);
	buf_release(&request);
}

int64_t
follow_waited_ms(const struct follow *f)
{
	int64_t now = loop_now_ms(), each = conf_ms("peer_timeout"), waited = 0;

	if (f->in_vain && now - f->in_vain_ms <= each + BEAT_MS)
		waited = f->in_vain * each;
	/* One that is over and was not seen to be is none in vain. */
	if (*f->nonce)
		waited +=
			now - f->asked_ms < each ? now - f->asked_ms : each - 1;
	return waited;
}

/* In the worker. */
static int
ask_witnesses(struct buf *out, void *arg)
{
	struct verr e = VERR_INIT;
	int seen = witness_ask(conf_str("witnesses"),
			       conf_ms("witness_timeout"), &e);

	(void)out;
	(void)arg;
	if (seen == -1)
		log_warning("witnesses: %s", e.msg);
	return seen == 1 ? 0 : 1;
}

/*
 * Both have had their time, and neither used it.  The loop itself may have
 * stood still: what counts is an answer that was waited for, not the clock.
 */
static void
on_witnesses(int status, const struct buf *said, void *arg)
{
	struct follow *f = arg;
	int64_t now = loop_now_ms(), limit = conf_ms("self_fence_after");

	(void)said;
	f->witness = NULL;
	if (status == 0) {
		f->seen_ms = now;
		still_on_witness(f);
	}
	if (status == 0 || f->isolated || now - f->heard_ms < limit ||
	    now - f->seen_ms < limit || f->vrrp != HA_VRRP_MASTER)
		return;
	follow_tell_isolated(f, true);
	f->alone = true;
	follow_next(f);
}

void
follow_on_beat(void *arg)
{
	struct follow *f = arg;
	struct verr e = VERR_INIT;

	loop_timer_set(f->loop, &f->beat, BEAT_MS);
	still_on_beat(f);
	ask_peer(f);
	if (f->vrrp != HA_VRRP_MASTER && !f->isolated) {
		f->heard_ms = f->seen_ms = loop_now_ms();
		return;
	}
	if (f->witness || loop_now_ms() - f->heard_ms < BEAT_MS * 3 / 2 ||
	    !*conf_str("witnesses"))
		return;
	f->witness =
		worker_start(f->loop, ask_witnesses, NULL, on_witnesses, f, &e);
	if (!f->witness)
		log_warning("%s", e.msg);
}
