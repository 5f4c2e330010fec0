/*
 * hastate: what one node says about itself, to its peer, to people, to files.
 *
 * Layer domain.  One schema for `voip-failover status`, the wire and the state
 * directory: JSON, described in voip-failover(8).  Members that are missing
 * have their zero value, members that are not known are ignored, so two
 * versions can talk.
 *
 * ha_kept is the part that must survive: fsynced before anything depends on
 * it.
 */
#ifndef HASTATE_H
#define HASTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "haplan.h"
#include "pgnode.h"
#include "verr.h"

enum ha_vrrp {
	HA_VRRP_NONE, /* nothing heard yet */
	HA_VRRP_MASTER,
	HA_VRRP_BACKUP,
	HA_VRRP_FAULT,
	HA_VRRP_STOP,
	HA_VRRPS,
};

struct ha_kept {
	enum ha_vrrp vrrp;  /* the last that keepalived told */
	bool held;          /* MASTER was acted upon, and not yet its end */
	bool wanted;        /* MASTER was told, and not yet acted upon */
	bool fenced;        /* stopped as a primary: may not start as one */
	bool trusted;       /* an operator says that it may */
	int64_t base;       /* timeline when the pair was last seen in sync */
	int64_t generation; /* highest timeline that this node was on, or that
			     * it is being promoted to */
	char doing[16];     /* action at work, from intent to done, or "" */
	char step[32];      /* of it */
	char id[40];        /* of it */
	char refused[128];  /* why, the last time, or "" */
	char torn[64]; /* the directory before pg_rewind, or "": hatorn.h */
};

struct ha_state {
	char name[64];
	struct ha_kept kept;
	enum ha_pg pg;
	bool writable;
	bool streaming;
	bool paused;       /* replays nothing, until somebody resumes it */
	int64_t timeline;  /* 0: unknown */
	int64_t lag_bytes; /* of a standby; -1: unknown */
	char lsn[24];
	char system_id[24];
	char upstream[128];
	char sync_standbys[256];
	bool marked;   /* it does not answer, and would start as a standby */
	bool starting; /* it does not answer yet, and says so (57P03) */
	bool maintenance;
	char health[16]; /* verdict: "fit", "held", "unfit" or "unknown" */
	char why[256];   /* why PostgreSQL does not answer, or "" */
};

const char *ha_vrrp_word(enum ha_vrrp v);
/* HA_VRRP_NONE for what is none. */
enum ha_vrrp ha_vrrp_from(const char *word);
/* "primary", "standby", "stopped primary", "stopped standby", "hung" */
const char *ha_role_word(enum ha_pg pg);
/* The same, but "starting" for a hung one that says so. */
const char *ha_state_role(const struct ha_state *s);

/* Append one line of JSON, without a newline. */
void ha_state_write(struct buf *b, const struct ha_state *s);
/* VERR_INPUT: no such object. */
int ha_state_read(const char *json, struct ha_state *s, struct verr *e);

/* state.json in `failover_state_dir`; nothing there is all zero. */
int ha_kept_load(struct ha_kept *k, struct verr *e);
int ha_kept_save(const struct ha_kept *k, struct verr *e);

/*
 * Look at our PostgreSQL: the server within `timeout_ms`, else its data
 * directory.  Fills all but `kept` and `maintenance`.
 */
int ha_state_look(struct ha_state *s, int64_t timeout_ms, struct verr *e);

/* What the peer's word means for us. */
enum ha_peer
ha_peer_of(const struct ha_state *own, const struct ha_state *peer);

#endif
