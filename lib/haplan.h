/*
 * haplan: what a node does about what it knows, as a table.
 *
 * Layer domain.  Pure: no clock, no file, no socket.  Facts are gathered by
 * others; ha_plan() takes the first row that fits all of them.  A fact of a row
 * is a set of values, so a row says "whatever" by ANY.  `voip-failover table`
 * prints the rows, or draws them; tests walk through every combination of
 * facts and hold the promises: no promotion without a word about the peer, no
 * primary that lost the virtual address, nothing done during maintenance unless
 * the peer asks, no former primary that starts as one before it knows that the
 * peer was not promoted since, no way back to an older timeline.
 */
#ifndef HAPLAN_H
#define HAPLAN_H

#include <stddef.h>

/* What happened. */
enum ha_event {
	HA_ON_MASTER = 1 << 0, /* keepalived: the address is ours */
	HA_ON_BACKUP = 1 << 1,
	HA_ON_FAULT = 1 << 2,
	HA_ON_STOP = 1 << 3,     /* keepalived ends */
	HA_ON_TICK = 1 << 4,     /* nothing: look whether all is as it should */
	HA_ON_ISOLATED = 1 << 5, /* neither peer nor witnesses for too long */
	HA_ON_PEER = 1 << 6,     /* the peer asks us to stop writing */
	HA_ON_STALE = 1 << 7,    /* we stood still, and the peer writes now */
};

/* Whether the address was ours when the event came. */
enum ha_held { HA_NOT_HELD = 1 << 0, HA_HELD = 1 << 1 };

/* Our PostgreSQL. */
enum ha_pg {
	HA_PG_DOWN_PRIMARY = 1 << 0, /* stopped; would start as a primary */
	HA_PG_DOWN_STANDBY = 1 << 1, /* stopped; would start as a standby */
	HA_PG_HUNG = 1 << 2,         /* runs, and does not answer */
	HA_PG_STANDBY = 1 << 3,
	HA_PG_PRIMARY = 1 << 4,
	HA_PG_STRAY = 1 << 5, /* a standby that cannot follow the peer */
};

/* The marker "may not start as a primary", or an operator's "it may". */
enum ha_mark {
	HA_CLEAR = 1 << 0,
	HA_FENCED = 1 << 1,
	HA_TRUSTED = 1 << 2,
	HA_TORN = 1 << 3, /* its directory was left half rewound */
};

/* The peer, by its own signed word. */
enum ha_peer {
	HA_PEER_NONE = 1 << 0,     /* there is none: a single node */
	HA_PEER_SILENT = 1 << 1,   /* no answer */
	HA_PEER_OFF = 1 << 2,      /* answers; its PostgreSQL cannot write */
	HA_PEER_STANDBY = 1 << 3,  /* a standby */
	HA_PEER_PRIMARY = 1 << 4,  /* a primary of our own timeline */
	HA_PEER_NEWER = 1 << 5,    /* a primary with a higher timeline */
	HA_PEER_OLDER = 1 << 6,    /* a primary with a lower one */
	HA_PEER_AHEAD = 1 << 7,    /* cannot write; knows a higher timeline */
	HA_PEER_BEHIND = 1 << 9,   /* no primary; lacks what we have, stopped */
	HA_PEER_ASTRAY = 1 << 8,   /* another system identifier: not our pair */
	HA_PEER_UNCLEAR = 1 << 10, /* somebody answers; it cannot be used */
};

/* Addresses that a node which is well connected reaches. */
enum ha_witness {
	HA_WITNESS_NONE = 1 << 0, /* none configured */
	HA_WITNESS_SEEN = 1 << 1,
	HA_WITNESS_LOST = 1 << 2,
};

/* Whether there is a command that makes the peer stop from outside. */
enum ha_fence { HA_FENCE_NONE = 1 << 0, HA_FENCE_SET = 1 << 1 };

enum ha_policy { HA_CONSISTENCY = 1 << 0, HA_AVAILABILITY = 1 << 1 };
enum ha_pause { HA_RUNNING = 1 << 0, HA_MAINTENANCE = 1 << 1 };

enum ha_action {
	HA_NOTHING,
	HA_HOLD,    /* primary with the address: services, slots, timeline */
	HA_PROMOTE, /* the peer cannot write: promote */
	HA_ASK,     /* ask the peer to stop writing; then look again */
	HA_FENCE,   /* fence command against the silent peer, then promote;
		     * when it fails the policy decides */
	HA_DEMOTE,  /* stop writing at once; marks the node as fenced */
	HA_REJOIN,  /* come back as a standby of the peer */
	HA_START,   /* start PostgreSQL as it is */
	HA_WAIT,    /* not yet known; look again */
	HA_REFUSE,  /* an operator must decide; alert */
	/* Only an operator's. */
	HA_SWITCHOVER,
	HA_ACTIONS,
};

struct ha_facts {
	enum ha_event event;
	enum ha_pause pause;
	enum ha_held held;
	enum ha_pg pg;
	enum ha_mark mark;
	enum ha_peer peer;
	enum ha_witness witness;
	enum ha_fence fence;
	enum ha_policy policy;
};

/* The members of struct ha_facts, in their order. */
enum ha_fact {
	HA_FACT_EVENT,
	HA_FACT_PAUSE,
	HA_FACT_HELD,
	HA_FACT_PG,
	HA_FACT_MARK,
	HA_FACT_PEER,
	HA_FACT_WITNESS,
	HA_FACT_FENCE,
	HA_FACT_POLICY,
	HA_FACTS,
};

/* Of the peer nothing is known that it said itself. */
#define HA_PEER_UNHEARD (HA_PEER_SILENT | HA_PEER_UNCLEAR)

struct ha_row {
	unsigned facts[HA_FACTS]; /* sets of values, in their order */
	enum ha_action action;
	const char *why; /* one line, for people */
};

/* Ends with a NULL `why`; the row before it fits everything. */
extern const struct ha_row ha_rows[];

const struct ha_row *ha_plan(const struct ha_facts *f);

const char *ha_action_word(enum ha_action a);
/* The name of a fact (0 to HA_FACTS - 1) and of one of its values; NULL when
 * there is no such value. */
const char *ha_fact_name(size_t fact);
const char *ha_value_name(size_t fact, size_t bit);

#endif
