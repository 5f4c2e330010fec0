/*
 * reloadcenter: mod_callcenter by difference.
 *
 * Layer domain.  The module keeps queues, agents and tiers in a database of its
 * own; its reload adds and never removes.  So what it lists is compared with
 * what it should have, and the answer is commands.  Names are those of
 * callcenter.conf: queues NAME@DOMAIN, agents USERNAME@DOMAIN.
 *
 * Only what belongs to one of our domains is touched: a queue of another
 * owner, such as support@default, stays.  Lists are "a|b|c" lines below a head,
 * ended by "+OK" (mod_callcenter.c, list_result_callback()); a name with a
 * '|' cannot be told in them, and is left alone.
 */
#ifndef RELOADCENTER_H
#define RELOADCENTER_H

#include <stddef.h>

#include "verr.h"

enum center_kind { CENTER_DOMAIN, CENTER_QUEUE, CENTER_AGENT, CENTER_TIER };

/* What should be.  Strings are borrowed. */
struct center_row {
	enum center_kind kind;
	const char *name;  /* domain; queue; agent; queue of a tier */
	const char *agent; /* of a tier */
	/*
	 * Queue: strategy, max-wait-time, max-wait-time-with-no-agent,
	 * tier-rules-apply, discard-abandoned-after, moh-sound or NULL.
	 * Agent: contact.  Tier: level, position.
	 */
	const char *values[6];
};

/* What callcenter_config answers to "queue list" and so on. */
struct center_lists {
	const char *queues;
	const char *agents;
	const char *tiers;
};

typedef void (*center_put_fn)(const char *command, void *arg);
/* A name that no command can have. */
typedef void (*center_skip_fn)(const char *name, void *arg);

/*
 * The commands, in order.  VERR_INPUT: a list is none (the module is not
 * loaded); VERR_RETRY without memory.
 */
int center_difference(const struct center_row *rows, size_t n,
		      const struct center_lists *lists, center_put_fn put,
		      center_skip_fn skip, void *arg, struct verr *e);

#endif
