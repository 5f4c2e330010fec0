#include "haadvice.h"

#include <stdio.h>

#include "hamaintenance.h"

#define ANY         (~0U)
#define PG_DOWN     (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)
#define PEER_WRITES (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER)
#define PEER_NO_WRITE \
	(HA_PEER_OFF | HA_PEER_BEHIND | HA_PEER_STANDBY | HA_PEER_AHEAD)

/* What else a row may want to be true. */
enum more {
	ALWAYS,
	WE_STREAM,
	PEER_STREAMS,
	WE_WORK, /* a transition is at work here */
	NOT_WRITABLE,
	NO_ADDRESS,
};

/* clang-format off */
static const struct {
	unsigned pg, mark, peer;
	enum more more;
	const char *word, *text;
} rows[] = {
	{ ANY, ANY, HA_PEER_ASTRAY, ALWAYS, "split",
	  "the two databases are not copies of each other: peer_address or"
	  " node_database leads to a stranger" },
	{ ANY, ANY, ANY, WE_WORK, "changing",
	  "at work, see the row 'transition': wait, and look again" },
	{ HA_PG_PRIMARY, ANY, PEER_WRITES, ALWAYS, "split",
	  "both are primary: run 'voip-failover demote' on the one without the"
	  " virtual address" },
	{ HA_PG_PRIMARY, ANY, ANY, NOT_WRITABLE, "down",
	  "the primary takes no writes: see default_transaction_read_only" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_NONE, ALWAYS, "well",
	  "a single primary without a peer" },
	{ HA_PG_PRIMARY, ANY, ANY, NO_ADDRESS, "degraded",
	  "primary without the virtual address: see keepalived, and"
	  " 'voip-failover explain'" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, PEER_STREAMS, "well",
	  "this node writes, the peer streams: nothing to do" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, ALWAYS, "degraded",
	  "this node writes, the peer runs and does not stream: see the log of"
	  " its PostgreSQL, or run 'voip-failover rejoin' there" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_SILENT, ALWAYS, "degraded",
	  "this node writes, the peer does not answer: look at the other node,"
	  " its voip-failover and the line between them" },
	{ HA_PG_PRIMARY, ANY, ANY, ALWAYS, "degraded",
	  "this node writes, the peer is stopped: it comes back by itself; if"
	  " its 'voip-failover history' says that this failed, run"
	  " 'voip-failover rejoin' there" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, WE_STREAM, "well",
	  "the peer writes, this node streams: nothing to do" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, ALWAYS, "degraded",
	  "the peer writes, this node runs and does not stream: see the log of"
	  " PostgreSQL, or run 'voip-failover rejoin' here" },
	{ HA_PG_STANDBY, ANY, HA_PEER_SILENT, ALWAYS, "degraded",
	  "the peer does not answer: if it is dead for certain, run"
	  " 'voip-failover promote' here" },
	{ HA_PG_STANDBY, ANY, HA_PEER_AHEAD, ALWAYS, "down",
	  "nobody writes, and the peer has writes that this node lacks: bring"
	  " the peer's PostgreSQL back; 'voip-failover promote' here leaves"
	  " them out" },
	{ HA_PG_STANDBY, ANY, HA_PEER_NONE, ALWAYS, "degraded",
	  "a standby without a peer_address: run 'voip-failover promote' to"
	  " make it the primary" },
	{ HA_PG_STANDBY, ANY, ANY, ALWAYS, "down",
	  "nobody writes: whoever gets the virtual address is promoted; see"
	  " keepalived on both nodes, or run 'voip-failover promote' here" },
	{ PG_DOWN, HA_TORN, PEER_WRITES, ALWAYS, "degraded",
	  "the peer writes; a rewind was cut off here and left a data directory"
	  " that cannot be used: it is replaced by itself with"
	  " rejoin_policy=reclone, else run 'voip-failover rejoin --policy"
	  " reclone'" },
	{ PG_DOWN, HA_TORN, ANY, ALWAYS, "down",
	  "a rewind was cut off here and left a data directory that cannot be"
	  " used: bring the peer's PostgreSQL back, it has all; then"
	  " 'voip-failover rejoin --policy reclone' here" },
	{ PG_DOWN, ANY, PEER_WRITES, ALWAYS, "degraded",
	  "the peer writes, PostgreSQL is stopped here: it comes back by"
	  " itself; else run 'voip-failover rejoin', and with '--policy"
	  " reclone' when it cannot be rewound" },
	{ HA_PG_DOWN_PRIMARY, HA_CLEAR | HA_FENCED,
	  HA_PEER_SILENT | HA_PEER_AHEAD, ALWAYS, "down",
	  "PostgreSQL is stopped, and whether the peer was promoted since is"
	  " not known: bring the peer back; if it is dead for certain, run"
	  " 'voip-failover unfence', then start PostgreSQL" },
	{ HA_PG_DOWN_STANDBY, HA_FENCED, HA_PEER_SILENT | HA_PEER_AHEAD, ALWAYS,
	  "down",
	  "stopped as a primary, and whether the peer was promoted since is"
	  " not known: bring the peer back; if it is dead for certain, run"
	  " 'voip-failover unfence', then start PostgreSQL" },
	{ PG_DOWN, ANY, ANY, ALWAYS, "down",
	  "PostgreSQL is stopped on this node, and the peer does not write:"
	  " see 'next', and 'voip-failover explain' on both nodes" },
	{ HA_PG_HUNG, ANY, ANY, ALWAYS, "degraded",
	  "PostgreSQL runs here and does not answer: 'voip-failover demote'"
	  " ends it" },
	{ ANY, ANY, ANY, ALWAYS, "degraded", "see 'voip-failover explain'" },
};
/* clang-format on */

static bool
is_so(enum more more, const struct ha_outcome *o)
{
	switch (more) {
	case WE_STREAM:
		return o->state.streaming;
	case PEER_STREAMS:
		return o->peer.streaming;
	case WE_WORK:
		return *o->state.kept.doing != '\0';
	case NOT_WRITABLE:
		return !o->state.writable;
	case NO_ADDRESS:
		return !o->state.kept.held;
	case ALWAYS:
		break;
	}
	return true;
}

void
ha_advise(const struct ha_outcome *o, struct ha_advice *a)
{
	const struct ha_facts *f = &o->facts;
	size_t i = 0;

	if (f->pause == HA_MAINTENANCE) {
		a->word = "paused";
		snprintf(a->text, sizeof(a->text),
			 "maintenance: nothing is done by itself; "
			 "'voip-failover maintenance off' ends it");
		return;
	}
	/* The last row fits everything. */
	while (!(rows[i].pg & f->pg) || !(rows[i].mark & f->mark) ||
	       !(rows[i].peer & f->peer) || !is_so(rows[i].more, o))
		i++;
	a->word = rows[i].word;
	snprintf(a->text, sizeof(a->text), "%s", rows[i].text);
}
