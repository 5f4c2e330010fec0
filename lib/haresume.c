#include "haresume.h"

#include <stdio.h>
#include <string.h>

#include "hadrain.h"
#include "hajournal.h"
#include "log.h"

/* clang-format off */
const struct ha_step ha_steps[] = {
	{ HA_PROMOTE, "begin", false,
	  "decided anew: nothing was done yet" },
	{ HA_PROMOTE, "promote postgresql", false,
	  "decided anew while keepalived says MASTER: held when it is a primary"
	  " by now, else promoted" },
	{ HA_PROMOTE, "start services", false,
	  "the services of a primary are started" },
	{ HA_PROMOTE, "checkpoint", false,
	  "nothing: PostgreSQL makes its checkpoints itself" },
	{ HA_PROMOTE, "recover calls", false,
	  "nothing: FreeSWITCH was asked, or recovers when it is" },
	{ HA_PROMOTE, "take calls", true,
	  "drain_undo is run" },

	{ HA_HOLD, "begin", false,
	  "the services of a primary are started" },

	{ HA_DEMOTE, "begin", false,
	  "brought to its end: the node is fenced" },
	{ HA_DEMOTE, "stop postgresql", false,
	  "brought to its end: the node is fenced" },
	{ HA_DEMOTE, "stop services", false,
	  "the services of a primary are stopped" },

	{ HA_FENCE, "begin", false,
	  "decided anew: the fence command is run again" },

	{ HA_REJOIN, "begin", false,
	  "begun anew when the peer is the primary" },
	{ HA_REJOIN, "salvage", false,
	  "begun anew: what only this directory has is saved first" },
	{ HA_REJOIN, "rewind", false,
	  "begun anew; what is half rewound by then is replaced" },
	{ HA_REJOIN, "reclone", false,
	  "begun anew: what was copied by then is kept under another name" },
	{ HA_REJOIN, "follow", false,
	  "begun anew: there is nothing to rewind" },
	{ HA_REJOIN, "start postgresql", false,
	  "begun anew, or done when it streams" },
	{ HA_REJOIN, "stream", false,
	  "done when it streams" },

	{ HA_SWITCHOVER, "begin", true,
	  "rolled back: this node goes on as the primary" },
	{ HA_SWITCHOVER, "drain", true,
	  "rolled back: drain_undo is run, this node goes on as the primary" },
	{ HA_SWITCHOVER, "stop services", true,
	  "rolled back: the services are started, drain_undo is run" },
	{ HA_SWITCHOVER, "stop postgresql", false,
	  "carried on: the node is fenced, and comes back when the peer is the"
	  " primary" },
	{ HA_SWITCHOVER, "peer takes over", false,
	  "carried on: it comes back when the peer is the primary" },
	{ HA_SWITCHOVER, "undo", true,
	  "decided anew: started as a primary when the peer is none" },
	{ .step = NULL },
};
/* clang-format on */

/* NULL: no such step. */
static const struct ha_step *
find_step(const char *action, const char *step)
{
	for (const struct ha_step *s = ha_steps; s->step; s++)
		if (strcmp(ha_action_word(s->action), action) == 0 &&
		    strcmp(s->step, step) == 0)
			return s;
	return NULL;
}

int
ha_resume(struct ha_kept *k, struct verr *e)
{
	const struct ha_step *s = find_step(k->doing, k->step);
	struct verr why = VERR_INIT;
	char text[320];

	if (!*k->doing)
		return 0;
	/* The action first: that is what one looks for. */
	snprintf(text, sizeof(text), "%s was cut off at '%s': %s", k->doing,
		 k->step, s ? s->then : "decided anew");
	if (ha_journal_note(k, "resume", text, e) == -1)
		return -1;
	if (s && s->undo && ha_drain_undo(&why) == -1)
		log_error("%s", why.msg);
	*k->doing = *k->step = '\0';
	return ha_kept_save(k, e);
}
