#include "haadvice.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "conf.h"
#include "hamaintenance.h"
#include "hatorn.h"
#include "pairfile.h"

#define ANY         (~0U)
#define PG_DOWN     (HA_PG_DOWN_PRIMARY | HA_PG_DOWN_STANDBY)
#define PEER_WRITES (HA_PEER_PRIMARY | HA_PEER_NEWER | HA_PEER_OLDER)
#define ROOM        16384 /* a state and lines of the journal */
#define PEER_NO_WRITE \
	(HA_PEER_OFF | HA_PEER_BEHIND | HA_PEER_STANDBY | HA_PEER_AHEAD)

/* What else a row may want to be true. */
enum more {
	ALWAYS,
	WE_STREAM,
	WE_PAUSE, /* the replay */
	PEER_STREAMS,
	PEER_PAUSES,
	PEER_IS_TORN,
	WE_WORK, /* a transition is at work here */
	NOT_WRITABLE,
	NO_ADDRESS,
	HAS_ADDRESS,
	IS_WANTED,   /* the same, and it was not acted upon */
	NO_SERVICE,  /* voip-failover follow does not run here */
	PEER_PAUSED, /* it is in maintenance */
	STARTING,
	BY_HAND, /* rejoin_policy says so */
	NO_ROOM, /* in failover_state_dir */
};

#define NO_ROOM_TEXT                                                       \
	"failover_state_dir is full or read-only: nothing is begun before" \
	" there is room, see 'df' and 'df -i'"

/* clang-format off */
static const struct {
	unsigned pg, mark, peer;
	enum more more;
	const char *word, *text;
} rows[] = {
	{ ANY, ANY, HA_PEER_ASTRAY, ALWAYS, "split",
	  "the two databases are not copies of each other: peer_address or"
	  " node_database leads to a stranger" },
	{ ANY, ANY, ANY, NO_SERVICE, "degraded",
	  "the service voip-failover does not run on this node, or cannot"
	  " write peer.json in health_dir: nothing is done by itself; see its"
	  " log, 'systemctl start voip-failover'" },
	{ ANY, ANY, ANY, WE_WORK, "changing",
	  "at work, see the row 'transition': wait, and look again" },
	{ HA_PG_PRIMARY, ANY, PEER_WRITES, ALWAYS, "split",
	  "both are primary: run 'voip-failover demote' on the one without the"
	  " virtual address" },
	{ HA_PG_PRIMARY, ANY, ANY, NO_ROOM, "degraded",
	  "this node writes; " NO_ROOM_TEXT },
	{ ANY, ANY, PEER_WRITES, NO_ROOM, "degraded",
	  "the peer writes; " NO_ROOM_TEXT },
	{ ANY, ANY, HA_PEER_UNHEARD, NO_ROOM, "degraded", NO_ROOM_TEXT },
	{ ANY, ANY, ANY, NO_ROOM, "down", "nobody writes; " NO_ROOM_TEXT },
	{ HA_PG_PRIMARY, ANY, ANY, NOT_WRITABLE, "down",
	  "the primary takes no writes: see default_transaction_read_only" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_NONE, ALWAYS, "well",
	  "a single primary without a peer" },
	{ HA_PG_PRIMARY, ANY, ANY, NO_ADDRESS, "degraded",
	  "primary without the virtual address: see keepalived, and"
	  " 'voip-failover explain'" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_UNCLEAR, ALWAYS, "degraded",
	  "this node writes; the peer lives, and what it answers cannot be"
	  " used, so it does not take over: mend what the row 'peer' says" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, PEER_PAUSED, "degraded",
	  "this node writes, the peer is in maintenance and would not take"
	  " over: 'voip-failover maintenance off' there ends it" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, PEER_PAUSES, "degraded",
	  "this node writes, and replay is paused on the peer: 'select"
	  " pg_wal_replay_resume()' in its PostgreSQL ends that" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, PEER_STREAMS, "well",
	  "this node writes, the peer streams: nothing to do" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_STANDBY, ALWAYS, "degraded",
	  "this node writes, the peer runs and does not stream: see the log of"
	  " its PostgreSQL, or run 'voip-failover rejoin' there" },
	{ HA_PG_PRIMARY, ANY, HA_PEER_SILENT, ALWAYS, "degraded",
	  "this node writes, the peer does not answer: look at the other node,"
	  " its voip-failover and the line between them" },
	{ HA_PG_PRIMARY, ANY, ANY, PEER_IS_TORN, "degraded",
	  "this node writes; a rewind was cut off on the peer: it comes back by"
	  " itself with rejoin_policy=reclone, else run 'voip-failover rejoin"
	  " --policy reclone' there" },
	{ HA_PG_PRIMARY, ANY, ANY, ALWAYS, "degraded",
	  "this node writes, the peer is stopped: it comes back by itself; if"
	  " its 'voip-failover history' says that this failed, run"
	  " 'voip-failover rejoin' there" },
	{ HA_PG_STRAY, ANY, ANY, ALWAYS, "degraded",
	  "the peer writes, and this standby has what the peer lacks, so it"
	  " cannot follow: it saves that and comes back by itself; with"
	  " rejoin_policy=stop run 'voip-failover rejoin --policy rewind'" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, IS_WANTED, "down",
	  "the virtual address is here, and the peer still writes: it is asked"
	  " to stop; if that lasts, see its 'voip-failover status', and run"
	  " 'voip-failover demote' there" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, WE_PAUSE, "degraded",
	  "the peer writes, and replay is paused here: 'select"
	  " pg_wal_replay_resume()' in this node's PostgreSQL ends that" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, WE_STREAM, "well",
	  "the peer writes, this node streams: nothing to do" },
	{ HA_PG_STANDBY, ANY, PEER_WRITES, ALWAYS, "degraded",
	  "the peer writes, this node runs and does not stream: see the log of"
	  " PostgreSQL; if what it needs has been removed there, run"
	  " 'voip-failover rejoin --policy reclone' here, else 'rejoin'" },
	{ HA_PG_STANDBY, ANY, HA_PEER_UNCLEAR, ALWAYS, "degraded",
	  "the peer lives and may write, what it answers cannot be used: mend"
	  " what the row 'peer' says; promote nothing before" },
	{ HA_PG_STANDBY, ANY, HA_PEER_SILENT, WE_STREAM, "degraded",
	  "this node streams, so the peer's PostgreSQL runs, but its"
	  " voip-failover does not answer: start it there, 'systemctl start"
	  " voip-failover'; promote nothing" },
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
	{ HA_PG_STANDBY, ANY, ANY, IS_WANTED, "down",
	  "nobody writes, and the virtual address is here: this node is"
	  " promoted as soon as the row 'next' says so; if 'refused' stays,"
	  " mend that, or run 'voip-failover promote' here" },
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
	{ PG_DOWN, ANY, PEER_WRITES, BY_HAND, "degraded",
	  "the peer writes, PostgreSQL is stopped here, and rejoin_policy is"
	  " 'stop': 'voip-failover rejoin --policy rewind' brings it back, or"
	  " '--policy reclone' when it cannot be rewound" },
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
	{ HA_PG_DOWN_PRIMARY, HA_CLEAR | HA_TRUSTED, HA_PEER_STANDBY,
	  HAS_ADDRESS, "down",
	  "PostgreSQL has ended here, and the address stays: 'voip-health'"
	  " tells why the peer would be worse; start PostgreSQL here, or run"
	  " 'voip-failover promote' there" },
	{ PG_DOWN, ANY, HA_PEER_UNCLEAR, ALWAYS, "down",
	  "PostgreSQL is stopped on this node, and what the peer answers"
	  " cannot be used: mend what the row 'peer' says" },
	{ PG_DOWN, ANY, ANY, ALWAYS, "down",
	  "PostgreSQL is stopped on this node, and the peer does not write:"
	  " see 'next', and 'voip-failover explain' on both nodes" },
	{ HA_PG_HUNG, ANY, ANY, STARTING, "degraded",
	  "PostgreSQL is starting or recovering here and answers nobody yet:"
	  " wait, its log says how far it is" },
	{ HA_PG_HUNG, ANY, ANY, ALWAYS, "degraded",
	  "PostgreSQL runs here and does not answer: 'voip-failover demote'"
	  " ends it" },
	{ ANY, ANY, ANY, ALWAYS, "degraded", "see 'voip-failover explain'" },
};
/* clang-format on */

/* For whom the service runs as: others have what is reserved for root. */
static bool
is_full(const char *directory)
{
	struct statvfs v;

	return statvfs(directory, &v) == 0 && v.f_blocks &&
	       (v.f_flag & ST_RDONLY || v.f_bavail * v.f_frsize < ROOM ||
		(v.f_files && !v.f_favail));
}

static bool
is_so(enum more more, const struct ha_outcome *o)
{
	struct pairfile_peer told;

	switch (more) {
	case WE_STREAM:
		return o->state.streaming;
	case WE_PAUSE:
		return o->state.paused;
	case PEER_STREAMS:
		return o->peer.streaming;
	case PEER_PAUSES:
		return o->peer.paused;
	case PEER_IS_TORN:
		return ha_torn_peer(&o->peer);
	case WE_WORK:
		return *o->state.kept.doing != '\0';
	case NOT_WRITABLE:
		return !o->state.writable;
	case IS_WANTED:
		return o->state.kept.wanted;
	case HAS_ADDRESS:
		return o->state.kept.held;
	case NO_ADDRESS:
		return !o->state.kept.held;
	case NO_SERVICE:
		pairfile_peer(&told);
		return !told.known && o->facts.peer != HA_PEER_NONE;
	case PEER_PAUSED:
		return o->peer.maintenance;
	case STARTING:
		return o->state.starting;
	case BY_HAND:
		return strcmp(conf_str("rejoin_policy"), "stop") == 0;
	case NO_ROOM:
		return is_full(conf_str("failover_state_dir"));
	case ALWAYS:
		break;
	}
	return true;
}

/* A node that was forgotten in it: until when, and what it hides. */
static void
add_maintenance(struct ha_advice *a)
{
	char end[40] = "", text[400];
	const char *word = a->word;
	struct ha_maintenance m;
	struct tm tm;
	time_t at;

	if (ha_is_maintenance(&m) && m.until) {
		at = (time_t)m.until;
		gmtime_r(&at, &tm);
		strftime(end, sizeof(end), " until %Y-%m-%dT%H:%M:%SZ", &tm);
	}
	snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, a->text);
	a->word = "paused";
	snprintf(a->text, sizeof(a->text),
		 "maintenance%s: nothing is done by itself; "
		 "'voip-failover maintenance off' ends it; meanwhile %s: %s",
		 end, word, text);
}

void
ha_advise(const struct ha_outcome *o, struct ha_advice *a)
{
	const struct ha_facts *f = &o->facts;
	size_t i = 0;

	/* The last row fits everything. */
	while (!(rows[i].pg & f->pg) || !(rows[i].mark & f->mark) ||
	       !(rows[i].peer & f->peer) || !is_so(rows[i].more, o))
		i++;
	a->word = rows[i].word;
	snprintf(a->text, sizeof(a->text), "%s", rows[i].text);
	if (f->pause == HA_MAINTENANCE)
		add_maintenance(a);
}
