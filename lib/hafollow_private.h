/*
 * hafollow_private: what the parts of hafollow share.
 *
 * Layer domain.  hafollow.c starts the transitions, one at a time; hafifo.c
 * reads what keepalived says, haquestion.c answers the peer, haisolated.c
 * watches whether there is anybody else, hastill.c what became of the pair
 * while this node stood still.  Each of them leaves in struct follow what is to
 * be done, and calls follow_next().
 */
#ifndef HAFOLLOW_PRIVATE_H
#define HAFOLLOW_PRIVATE_H

#include "hastate.h"
#include "httpc.h"
#include "httpd.h"
#include "loop.h"
#include "peerwire.h"
#include "secret.h"
#include "worker.h"

#define QUESTIONS 16 /* of the peer, at the same time */

struct follow;

/* A question of the peer that waits for its worker. */
struct question {
	struct follow *follow;
	struct http_request *request;
	const char *name;
	int64_t asked_ms;
	char nonce[PEER_NONCE];
	struct worker *worker;
};

struct follow {
	struct loop *loop;
	int fifo;
	struct buf line;
	char said[128]; /* the line before */
	unsigned char key[SECRET_KEY];
	enum ha_vrrp told;     /* by keepalived, not yet acted upon */
	enum ha_vrrp vrrp;     /* acted upon last */
	enum ha_event doing;   /* for the worker */
	struct worker *moving; /* it does it; NULL: nothing is done */
	struct loop_timer tick;
	struct worker *tending; /* to the services */
	int tend_failures;      /* in a row */
	int64_t tended_ms;
	int failures; /* in a row: each doubles the pause */
	struct question questions[QUESTIONS];
	struct question *demand; /* to stop writing, waits for `moving` */
	int64_t refused_ms;      /* when a refusal was told last */
	unsigned refusals;       /* since then */
	struct buf last;         /* our state as the last worker saw it */

	/* Of a node with the address: is there anybody else? */
	struct httpc *http;
	struct loop_timer beat;
	char nonce[PEER_NONCE]; /* of the lease that is asked for, or "" */
	const char *question;   /* that it is the nonce of */
	int64_t heard_ms;       /* the peer */
	int in_vain;            /* questions since it was heard */
	int64_t in_vain_ms;     /* the last of them */
	char unclear[200];      /* why the last answer could not be used */
	int64_t asked_ms;       /* the peer */
	int64_t word_ms;        /* of the peer, for voip-healthd */
	int64_t seen_ms;        /* a witness */
	struct worker *witness;
	bool isolated; /* told to keepalived */
	bool alone;    /* the transition for it is due */
	/* After a standstill: does the peer write by now? */
	int64_t beat_ms;  /* the last beat */
	int64_t doubt_ms; /* that we may write, since; 0: none */
	bool frozen;      /* PostgreSQL is held meanwhile */
	bool unheard;     /* the peer did not answer since */
	bool outdated;    /* the answer that is waited for was asked before */
	bool stale;       /* the transition for it is due */
	bool look_now;    /* the peer said something that needs a tick */
	/* What the peer was when it was heard last. */
	enum ha_pg peer_pg;
	int64_t peer_timeline;
};

/* Begin what is due, unless something is at work. */
void follow_next(struct follow *f);
/* Keepalived's last, acted upon or not. */
enum ha_vrrp follow_word(const struct follow *f);
/* What failed because of the peer may succeed by now: no pause. */
void follow_anew(struct follow *f);

/* hafifo.c */
int follow_open_fifo(struct follow *f, struct verr *e);

/* haquestion.c */
extern const struct http_route follow_routes[];
void question_answer(struct question *q, int status, const char *body);

/* haisolated.c: the timer `beat`, and what is told to keepalived. */
void follow_on_beat(void *arg);
/* How long the peer has let us wait: questions that were in vain, the last of
 * them just over, and the one under way. */
int64_t follow_waited_ms(const struct follow *f);
void follow_tell_isolated(struct follow *f, bool isolated);

/* hastill.c: at each beat; at the peer's answer (NULL: none); at the witnesses'
 * (they see us). */
void still_on_beat(struct follow *f);
void still_on_peer(struct follow *f, const struct ha_state *peer);
void still_on_witness(struct follow *f);
/* The demotion is over. */
void still_end(struct follow *f);

#endif
