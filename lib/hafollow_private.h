/*
 * hafollow_private: what the parts of hafollow share.
 *
 * Layer domain.  hafollow.c starts the transitions, one at a time; hafifo.c
 * reads what keepalived says, haquestion.c answers the peer, haisolated.c
 * watches whether there is anybody else.  Each of them leaves in struct follow
 * what is to be done, and calls follow_next().
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
	char nonce[PEER_NONCE];
	struct worker *worker;
};

struct follow {
	struct loop *loop;
	int fifo;
	struct buf line;
	unsigned char key[SECRET_KEY];
	enum ha_vrrp told;   /* by keepalived, not yet acted upon */
	enum ha_vrrp vrrp;   /* acted upon last */
	enum ha_event doing; /* for the worker */
	bool busy;
	struct loop_timer tick;
	int failures; /* in a row: each doubles the pause */
	bool again;   /* the address is ours, and nothing came of it so far */
	struct question questions[QUESTIONS];
	struct question *demand; /* to stop writing, waits for `busy` */
	struct buf last;         /* our state as the last worker saw it */

	/* Of a node with the address: is there anybody else? */
	struct httpc *http;
	struct loop_timer beat;
	char nonce[PEER_NONCE]; /* of the lease that is asked for, or "" */
	int64_t heard_ms;       /* the peer */
	int in_vain;            /* questions since it was heard */
	int64_t in_vain_ms;     /* the last of them */
	int64_t asked_ms;       /* the peer */
	int64_t word_ms;        /* of the peer, for voip-healthd */
	int64_t seen_ms;        /* a witness */
	struct worker *witness;
	bool isolated; /* told to keepalived */
	bool alone;    /* the transition for it is due */
	bool look_now; /* the peer said something that needs a tick */
};

/* Begin what is due, unless something is at work. */
void follow_next(struct follow *f);

/* hafifo.c */
int follow_open_fifo(struct follow *f, struct verr *e);

/* haquestion.c */
extern const struct http_route follow_routes[];
void question_answer(struct question *q, int status, const char *body);

/* haisolated.c: the timer `beat`, and what is told to keepalived. */
void follow_on_beat(void *arg);
bool follow_peer_is_silent(const struct follow *f);
void follow_tell_isolated(struct follow *f, bool isolated);

#endif
