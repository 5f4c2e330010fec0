#include "haplan.h"

#include <assert.h>

#define ANY (~0U)
/* Sets that have a name of their own. */
#define LOST_ADDRESS  (HA_ON_BACKUP | HA_ON_FAULT | HA_ON_STOP)
#define PG_DOWN       (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)
#define PG_MAY_WRITE  (HA_PG_PRIMARY | HA_PG_HUNG)
#define PEER_NO_WRITE (HA_PEER_OFF | HA_PEER_BEHIND | HA_PEER_STANDBY)
#define PEER_WRITES   (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER)
#define PEER_LEADS    (HA_PEER_PRIMARY | HA_PEER_NEWER)
#define WHOLE         (HA_CLEAR | HA_FENCED | HA_TRUSTED)
#define NO_PRIMARY    (HA_FENCED | HA_TORN)
#define NOT_LOST      (HA_WITNESS_NONE | HA_WITNESS_SEEN)

/* clang-format off */
const struct ha_row ha_rows[] = {
	/* event, pause, held, pg, mark, peer, witness, fence, policy */
	{ { HA_ON_PEER, ANY, ANY, PG_MAY_WRITE, ANY, ANY, ANY, ANY, ANY },
	  HA_DEMOTE, "the peer has the address and asks us to stop writing" },
	{ { HA_ON_STALE, ANY, ANY, PG_MAY_WRITE, ANY, ANY, ANY, ANY, ANY },
	  HA_DEMOTE, "this node stood still, and the peer writes by now" },
	{ { ANY, HA_MAINTENANCE, ANY, ANY, ANY, ANY, ANY, ANY, ANY },
	  HA_NOTHING, "maintenance: nothing is done by itself" },

	/* The address has gone, or everybody else: stop first, ask later. */
	{ { LOST_ADDRESS, ANY, HA_HELD, PG_MAY_WRITE, ANY, ANY, ANY, ANY, ANY },
	  HA_DEMOTE, "the address has gone: whoever has it may be promoted" },
	{ { LOST_ADDRESS, ANY, HA_HELD, HA_PG_DOWN_PRIMARY, HA_CLEAR, ANY, ANY,
	    ANY, ANY },
	  HA_DEMOTE, "the address has gone, PostgreSQL too: it must not come"
	  " back as a primary" },
	{ { HA_ON_ISOLATED, ANY, ANY, PG_MAY_WRITE, ANY, ANY, ANY, ANY, ANY },
	  HA_DEMOTE, "neither peer nor witnesses: somebody else may write" },
	{ { HA_ON_TICK | LOST_ADDRESS, ANY, HA_HELD, PG_DOWN | PG_MAY_WRITE,
	    NO_PRIMARY, ANY, ANY, ANY, ANY },
	  HA_DEMOTE, "a demotion was cut off: it is brought to its end" },

	{ { ANY, ANY, ANY, ANY, ANY, HA_PEER_ASTRAY, ANY, ANY, ANY },
	  HA_REFUSE, "the peer's database is not a copy of ours" },

	/* The address has come. */
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_PRIMARY, ANY, HA_PEER_NEWER, ANY,
	    ANY, ANY },
	  HA_DEMOTE, "the peer was promoted after us: ours is the stale side" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_PRIMARY | HA_PG_STANDBY, ANY,
	    PEER_WRITES, ANY, ANY, ANY },
	  HA_ASK, "the peer still writes: it must stop first" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_PRIMARY, ANY, ANY, ANY, ANY, ANY },
	  HA_HOLD, "primary, and the address is ours" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY,
	    PEER_NO_WRITE | HA_PEER_NONE, ANY, ANY, ANY },
	  HA_PROMOTE, "the peer cannot write" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_AHEAD, ANY,
	    ANY, HA_AVAILABILITY },
	  HA_PROMOTE, "the peer was promoted after us and cannot write:"
	  " failover_policy prefers availability, its writes are left out" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_AHEAD, ANY,
	    ANY, ANY },
	  HA_REFUSE, "the peer was promoted after us: it has writes that this"
	  " node lacks" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_SILENT,
	    HA_WITNESS_LOST, ANY, ANY },
	  HA_REFUSE, "neither peer nor witnesses answer: we are cut off" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_SILENT,
	    NOT_LOST, HA_FENCE_SET, ANY },
	  HA_FENCE, "the peer is silent: the fence command makes sure" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_SILENT,
	    HA_WITNESS_SEEN, ANY, ANY },
	  HA_PROMOTE, "the peer is silent, the witnesses see us: it is down or"
	  " stops by itself" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_SILENT, ANY,
	    ANY, HA_AVAILABILITY },
	  HA_PROMOTE, "the peer is silent, and failover_policy prefers"
	  " availability" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_SILENT, ANY,
	    ANY, ANY },
	  HA_REFUSE, "the peer is silent, and there is neither witness nor"
	  " fence command to tell why" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_UNCLEAR,
	    NOT_LOST, HA_FENCE_SET, ANY },
	  HA_FENCE, "the peer's answer cannot be used: the fence command makes"
	  " sure" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_UNCLEAR,
	    NOT_LOST, ANY, HA_AVAILABILITY },
	  HA_PROMOTE, "the peer's answer cannot be used, and failover_policy"
	  " prefers availability" },
	{ { HA_ON_MASTER, ANY, ANY, HA_PG_STANDBY, ANY, HA_PEER_UNCLEAR, ANY,
	    ANY, ANY },
	  HA_REFUSE, "the peer lives, and what it answers cannot be used: it"
	  " may write, and cannot be asked to stop" },
	{ { HA_ON_MASTER, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY },
	  HA_REFUSE, "the address is ours, but PostgreSQL does not answer" },

	/* From here on: is all as it should be? */
	{ { ANY, ANY, ANY, PG_MAY_WRITE, ANY, HA_PEER_NEWER, ANY, ANY, ANY },
	  HA_DEMOTE, "the peer was promoted after us: ours is the stale side" },
	{ { ANY, ANY, HA_NOT_HELD, HA_PG_PRIMARY, ANY, HA_PEER_PRIMARY, ANY,
	    ANY, ANY },
	  HA_REFUSE, "both are primaries of the same timeline" },
	{ { ANY, ANY, HA_HELD, HA_PG_PRIMARY, ANY,
	    HA_PEER_PRIMARY | HA_PEER_OLDER, ANY, ANY, ANY },
	  HA_ASK, "the peer still writes: it must stop first" },
	{ { ANY, ANY, HA_HELD, HA_PG_PRIMARY, ANY, ANY, ANY, ANY, ANY },
	  HA_HOLD, "primary, and the address is ours" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_STRAY, ANY, PEER_LEADS, ANY,
	    ANY, ANY },
	  HA_REJOIN, "a standby that has more than the primary had when it was"
	  " promoted: it cannot follow, and comes back anew" },
	{ { ANY, ANY, HA_NOT_HELD, HA_PG_PRIMARY | HA_PG_STANDBY, ANY, ANY, ANY,
	    ANY, ANY },
	  HA_NOTHING, "well, and the address is not ours" },

	/* PostgreSQL is stopped. */
	{ { HA_ON_TICK | LOST_ADDRESS, ANY, HA_NOT_HELD, PG_DOWN, NO_PRIMARY,
	    HA_PEER_OLDER, ANY, ANY, ANY },
	  HA_REFUSE, "the peer writes on an older timeline: it lacks what this"
	  " node has" },
	{ { HA_ON_TICK | LOST_ADDRESS, ANY, HA_NOT_HELD, HA_PG_DOWN_PRIMARY,
	    HA_CLEAR, HA_PEER_OLDER, ANY, ANY, ANY },
	  HA_REFUSE, "the peer writes on an older timeline: it lacks what this"
	  " node has" },
	{ { HA_ON_TICK | LOST_ADDRESS, ANY, HA_NOT_HELD, PG_DOWN, NO_PRIMARY,
	    PEER_LEADS, ANY, ANY, ANY },
	  HA_REJOIN, "fenced, and the peer is the primary: come back as its"
	  " standby" },
	{ { HA_ON_TICK | LOST_ADDRESS, ANY, HA_NOT_HELD, HA_PG_DOWN_PRIMARY,
	    HA_CLEAR, PEER_LEADS, ANY, ANY, ANY },
	  HA_REJOIN, "a former primary, and the peer is the primary now" },
	{ { HA_ON_TICK, ANY, HA_HELD, HA_PG_DOWN_PRIMARY, HA_CLEAR,
	    HA_PEER_OFF | HA_PEER_BEHIND, ANY, ANY, ANY },
	  HA_START, "PostgreSQL ended while the address stayed here, and the"
	  " peer's is stopped, too" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_DOWN_STANDBY, HA_CLEAR, ANY,
	    ANY, ANY, ANY },
	  HA_START, "a standby is stopped" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, PG_DOWN, HA_TORN, ANY, ANY, ANY,
	    ANY },
	  HA_WAIT, "the data directory was left half rewound: it must be"
	  " replaced by a copy of the peer's" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_DOWN_PRIMARY, WHOLE,
	    HA_PEER_NONE, ANY, ANY, ANY },
	  HA_START, "a single node" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_DOWN_PRIMARY, HA_TRUSTED,
	    PEER_NO_WRITE | HA_PEER_SILENT | HA_PEER_AHEAD | HA_PEER_UNCLEAR,
	    ANY, ANY, ANY },
	  HA_START, "an operator says that this node is right" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_DOWN_PRIMARY, HA_CLEAR,
	    PEER_NO_WRITE, ANY, ANY, ANY },
	  HA_START, "the peer has seen no other primary since" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, HA_PG_DOWN_STANDBY, HA_FENCED,
	    HA_PEER_BEHIND, ANY, ANY, ANY },
	  HA_START, "nobody writes, and this node was promoted last: it waits"
	  " as a standby for the address" },
	{ { HA_ON_TICK, ANY, HA_NOT_HELD, PG_DOWN, ANY, ANY, ANY, ANY, ANY },
	  HA_WAIT, "a former primary does not start before it knows its"
	  " peer" },

	{ { ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY, ANY },
	  HA_NOTHING, "nothing to do" },
	{ .why = NULL },
};

static const char *const names[HA_FACTS] = {
	"event", "pause", "address", "postgresql", "marker", "peer",
	"witnesses", "fence", "policy",
};

#define VALUES 11
static const char *const values[HA_FACTS][VALUES] = {
	{ "master", "backup", "fault", "stop", "tick", "isolated", "asked",
	  "stale" },
	{ "running", "maintenance" },
	{ "not held", "held" },
	{ "stopped primary", "stopped standby", "hung", "standby", "primary",
	  "stray standby" },
	{ "clear", "fenced", "trusted", "half rewound" },
	{ "none", "silent", "off", "standby", "primary", "newer primary",
	  "older primary", "ahead", "astray", "behind", "unclear" },
	{ "none", "seen", "lost" },
	{ "none", "set" },
	{ "consistency", "availability" },
};

static const char *const actions[HA_ACTIONS] = {
	[HA_NOTHING] = "nothing", [HA_HOLD] = "hold", [HA_PROMOTE] = "promote",
	[HA_ASK] = "ask", [HA_FENCE] = "fence", [HA_DEMOTE] = "demote",
	[HA_REJOIN] = "rejoin", [HA_START] = "start", [HA_WAIT] = "wait",
	[HA_REFUSE] = "refuse", [HA_SWITCHOVER] = "switchover",
};
/* clang-format on */

const struct ha_row *
ha_plan(const struct ha_facts *f)
{
	const unsigned given[HA_FACTS] = {
		f->event, f->pause,   f->held,  f->pg,     f->mark,
		f->peer,  f->witness, f->fence, f->policy,
	};
	const struct ha_row *row;

	for (row = ha_rows; row->why; row++) {
		size_t i = 0;

		while (i < HA_FACTS && (row->facts[i] & given[i]))
			i++;
		if (i == HA_FACTS)
			return row;
	}
	assert(!"the last row fits everything");
	return &ha_rows[0];
}

const char *
ha_action_word(enum ha_action a)
{
	return actions[a];
}

const char *
ha_fact_name(size_t fact)
{
	return names[fact];
}

const char *
ha_value_name(size_t fact, size_t bit)
{
	return bit < VALUES ? values[fact][bit] : NULL;
}
