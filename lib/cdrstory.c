#include "cdrstory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdr.h"

struct story {
	const struct db_result *legs;
	struct cdrstory_event *events;
	size_t count;
	int leg;
};

/* "" for null. */
static const char *
value(const struct story *s, enum cdr_field f)
{
	const char *v = db_value(s->legs, s->leg, f);

	return v ? v : "";
}

/* A to Z, AA to ... */
static void
name_leg(char name[8], int leg)
{
	if (leg < 26)
		snprintf(name, 8, "%c", 'A' + leg);
	else
		snprintf(name, 8, "%c%c", 'A' + (leg / 26 - 1) % 26,
			 'A' + leg % 26);
}

/* The name of the leg with this uuid, or what is known of it. */
static void
name_other(const struct story *s, const char *uuid, char *name, size_t size)
{
	char letters[8];

	for (int i = 0; i < db_rows(s->legs); i++)
		if (strcmp(db_value(s->legs, i, CDR_LEG_UUID), uuid) == 0) {
			name_leg(letters, i);
			snprintf(name, size, "leg %s", letters);
			return;
		}
	snprintf(name, size, "%s", *uuid ? uuid : "another leg");
}

static struct cdrstory_event *
add(struct story *s, enum cdr_field time, const char *what)
{
	struct cdrstory_event *event = &s->events[s->count];

	if (!*value(s, time))
		return NULL;
	s->count++;
	*event = (struct cdrstory_event){ .at = value(s, time), .what = what };
	name_leg(event->leg, s->leg);
	return event;
}

static void
add_start(struct story *s)
{
	bool came_in = strcmp(value(s, CDR_CHANNEL_DIRECTION), "outbound") != 0;
	struct cdrstory_event *event =
		add(s, CDR_START_TIME, came_in ? "calls" : "rings");
	const char *caller = *value(s, CDR_ORIGINATOR_UUID)
				     ? value(s, CDR_ORIGINATOR_UUID)
				     : value(s, CDR_MEMBER_SESSION_UUID);
	char other[300];

	if (!event)
		return;
	if (came_in) {
		snprintf(event->detail, sizeof(event->detail),
			 "%s \"%s\" calls %s%s%s%s%s",
			 value(s, CDR_CALLER_NUMBER), value(s, CDR_CALLER_NAME),
			 value(s, CDR_DESTINATION),
			 *value(s, CDR_DOMAIN) ? " of " : "",
			 value(s, CDR_DOMAIN),
			 *value(s, CDR_NETWORK_IP) ? ", from " : "",
			 value(s, CDR_NETWORK_IP));
		return;
	}
	name_other(s, caller, other, sizeof(other));
	snprintf(event->detail, sizeof(event->detail), "rings %s%s%s%s%s",
		 value(s, CDR_DESTINATION_LAST),
		 *value(s, CDR_GATEWAY) ? " over trunk " : "",
		 value(s, CDR_GATEWAY), *caller ? ", for " : "",
		 *caller ? other : "");
}

static void
add_queue(struct story *s)
{
	struct cdrstory_event *event = add(s, CDR_QUEUE_JOINED_AT, "queued");

	if (event)
		snprintf(event->detail, sizeof(event->detail), "waits in %s",
			 value(s, CDR_QUEUE));
	event = add(s, CDR_QUEUE_ANSWERED_AT, "agent");
	if (event)
		snprintf(event->detail, sizeof(event->detail),
			 "answered by agent %s", value(s, CDR_AGENT));
	event = add(s, CDR_QUEUE_ENDED_AT, "dequeued");
	if (event)
		snprintf(event->detail, sizeof(event->detail),
			 "leaves %s: %s %s", value(s, CDR_QUEUE),
			 value(s, CDR_CC_CAUSE),
			 value(s, CDR_CC_CANCEL_REASON));
}

static void
add_talk(struct story *s)
{
	struct cdrstory_event *event = add(s, CDR_PROGRESS_TIME, "progress");
	char other[300];

	if (event)
		snprintf(event->detail, sizeof(event->detail),
			 "ringing, or media before the answer");
	event = add(s, CDR_ANSWER_TIME, "answered");
	if (event)
		snprintf(event->detail, sizeof(event->detail), "answered%s%s",
			 *value(s, CDR_READ_CODEC) ? ", codec " : "",
			 value(s, CDR_READ_CODEC));
	event = add(s, CDR_BRIDGE_TIME, "talks");
	if (!event)
		return;
	name_other(s, value(s, CDR_BRIDGE_UUID), other, sizeof(other));
	snprintf(event->detail, sizeof(event->detail), "talks with %s%s%s",
		 other, *value(s, CDR_TRANSFER) ? "; transferred: " : "",
		 value(s, CDR_TRANSFER));
}

/* blind:UUID, att:UUID */
static void
add_transfer(struct story *s)
{
	const char *to = strchr(value(s, CDR_TRANSFER_TO), ':');
	struct cdrstory_event *event;
	char other[300];

	if (!to || !(event = add(s, CDR_END_TIME, "transfers")))
		return;
	name_other(s, to + 1, other, sizeof(other));
	snprintf(event->detail, sizeof(event->detail), "transfers %s (%.*s)",
		 other, (int)(to - value(s, CDR_TRANSFER_TO)),
		 value(s, CDR_TRANSFER_TO));
}

static void
add_end(struct story *s)
{
	struct cdrstory_event *event;

	add_transfer(s);
	event = add(s, CDR_END_TIME, "ends");
	if (event)
		snprintf(event->detail, sizeof(event->detail),
			 "%s%s%s, talked %s s%s%s%s%s",
			 value(s, CDR_HANGUP_CAUSE),
			 *value(s, CDR_HANGUP_BY) ? ", by " : "",
			 value(s, CDR_HANGUP_BY), value(s, CDR_BILLSEC),
			 *value(s, CDR_MOS) ? ", MOS " : "", value(s, CDR_MOS),
			 *value(s, CDR_RECORDING) ? ", recorded in " : "",
			 value(s, CDR_RECORDING));
}

/* By insertion, which keeps the order of equal times: legs come sorted, and a
 * call has a few dozen events. */
static void
sort(struct cdrstory_event *events, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct cdrstory_event event = events[i];
		size_t at = i;

		for (; at > 0 && strcmp(events[at - 1].at, event.at) > 0; at--)
			events[at] = events[at - 1];
		events[at] = event;
	}
}

int
cdrstory_tell(const struct db_result *legs, cdrstory_fn fn, void *arg,
	      struct verr *e)
{
	const size_t of_a_leg = 9;
	struct story s = { .legs = legs };

	s.events =
		calloc((size_t)db_rows(legs) * of_a_leg + 1, sizeof(*s.events));
	if (!s.events)
		return verr_set(e, VERR_RETRY, "out of memory");
	for (; s.leg < db_rows(legs); s.leg++) {
		add_start(&s);
		add_queue(&s);
		add_talk(&s);
		add_end(&s);
	}
	sort(s.events, s.count);
	for (size_t i = 0; i < s.count; i++)
		fn(&s.events[i], arg);
	free(s.events);
	return 0;
}
