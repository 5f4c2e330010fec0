#include "reloadpeer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define BACKOFF_MIN 100
#define BACKOFF_MAX 10000
#define TRIES_MAX   8

struct reload_item {
	struct reload_item *next;
	int64_t at_ms; /* not before */
	unsigned tries;
	char command[];
};

static void turn(void *arg);

void
reload_peer_init(struct reload_peer *p)
{
	p->timer = (struct loop_timer){ .fn = turn, .arg = p };
	p->backoff_ms = BACKOFF_MIN;
}

static void
clear(struct reload_peer *p)
{
	struct reload_item *item;

	while ((item = p->first)) {
		p->first = item->next;
		free(item);
	}
	p->n = 0;
}

void
reload_peer_release(struct reload_peer *p)
{
	loop_timer_clear(p->loop, &p->timer);
	clear(p);
	free(p->asked);
	p->asked = NULL;
}

static void
soon(struct reload_peer *p)
{
	if (!p->is_away && !p->asked)
		loop_timer_set(p->loop, &p->timer, 0);
}

static void
append(struct reload_peer *p, struct reload_item *item)
{
	struct reload_item **link = &p->first;

	while (*link)
		link = &(*link)->next;
	item->next = NULL;
	*link = item;
	p->n++;
}

static void
collapse(struct reload_peer *p)
{
	clear(p);
	p->wants_resync = true;
}

/*
 * What is there already goes to the end when it must follow what was put before
 * it: a rescan its killgw, a difference all that it is to find.
 */
static bool
is_pending(struct reload_peer *p, const char *command, size_t len)
{
	struct reload_item **link = &p->first, *item;

	while ((item = *link) && strcmp(item->command, command) != 0)
		link = &item->next;
	if (!item)
		return false;
	if (*command == '@' ||
	    (len > 7 && strcmp(command + len - 7, " rescan") == 0)) {
		*link = item->next;
		p->n--;
		append(p, item);
	}
	return true;
}

void
reload_peer_put(struct reload_peer *p, const char *command)
{
	size_t len = strlen(command);
	struct reload_item *item;

	if (p->wants_resync || is_pending(p, command, len))
		return;
	item = calloc(1, sizeof(*item) + len + 1);
	if (!item || p->n == RELOAD_PENDING_MAX) {
		free(item);
		collapse(p);
	} else {
		memcpy(item->command, command, len + 1);
		append(p, item);
	}
	if (p->since_ms == 0)
		p->since_ms = loop_now_ms();
	soon(p);
}

const char *
reload_peer_asked(const struct reload_peer *p)
{
	return p->asked->command;
}

bool
reload_peer_is_idle(const struct reload_peer *p)
{
	return !p->first && !p->asked && !p->wants_resync;
}

/* --- turns ------------------------------------------------------------ */

static void
report(struct reload_peer *p)
{
	char applied[16], refused[16], ms[24];

	if (p->applied + p->refused > 0) {
		snprintf(applied, sizeof(applied), "%u", p->applied);
		snprintf(refused, sizeof(refused), "%u", p->refused);
		snprintf(ms, sizeof(ms), "%lld",
			 (long long)(loop_now_ms() - p->since_ms));
		log_event(LOG_LEVEL_INFO, "applied", "peer", p->name,
			  "commands", applied, "refused",
			  p->refused ? refused : NULL, "ms", ms, NULL);
	}
	p->applied = p->refused = 0;
	p->since_ms = 0;
}

static void
send_next(struct reload_peer *p)
{
	struct reload_item **link = &p->first, *item;
	int64_t now = loop_now_ms(), next = INT64_MAX;

	while ((item = *link) && item->at_ms > now) {
		if (item->at_ms < next)
			next = item->at_ms;
		link = &item->next;
	}
	if (!item) {
		loop_timer_set(p->loop, &p->timer, next - now);
		return;
	}
	*link = item->next;
	p->n--;
	p->asked = item;
	p->send(p, item->command);
}

static void
turn(void *arg)
{
	struct reload_peer *p = arg;

	if (p->asked)
		return;
	p->is_away = p->is_up && !p->is_up(p);
	if (p->is_away)
		return;
	if (p->wants_resync) {
		p->wants_resync = false;
		p->resync(p);
		log_event(LOG_LEVEL_INFO, "resync", "peer", p->name, NULL);
	}
	if (p->first) {
		send_next(p);
	} else {
		report(p);
		p->idle(p->arg);
	}
}

static void
went_away(struct reload_peer *p, const struct verr *e)
{
	if (!p->told_away)
		log_event(LOG_LEVEL_WARNING, "peer is away", "peer", p->name,
			  "error", e->msg, NULL);
	p->told_away = true;
	p->why = *e;
	p->is_away = true;
	if (p->was_up)
		collapse(p);
	p->was_up = false;
	loop_timer_set(p->loop, &p->timer, p->backoff_ms);
	p->backoff_ms *= 2;
	if (p->backoff_ms > BACKOFF_MAX)
		p->backoff_ms = BACKOFF_MAX;
}

static void
is_back(struct reload_peer *p)
{
	if (p->told_away)
		log_event(LOG_LEVEL_INFO, "peer is back", "peer", p->name,
			  NULL);
	p->told_away = false;
	p->was_up = true;
	p->is_away = false;
	p->backoff_ms = BACKOFF_MIN;
}

void
reload_peer_refused(struct reload_peer *p, const char *answer)
{
	struct verr e = VERR_INIT;

	verr_set(&e, VERR_INPUT, "%.*s", (int)strcspn(answer, "\r\n"), answer);
	reload_peer_done(p, RELOAD_REFUSED, 0, &e);
}

void
reload_peer_state(struct reload_peer *p, const struct verr *e)
{
	if (e) {
		went_away(p, e);
		return;
	}
	is_back(p);
	soon(p);
}

static void
again(struct reload_peer *p, struct reload_item *item, const struct verr *e)
{
	int64_t in_ms = INT64_C(500) << (item->tries < 4 ? item->tries : 4);

	if (++item->tries == TRIES_MAX) {
		log_event(LOG_LEVEL_ERROR, "given up", "peer", p->name,
			  "command", item->command, "error", e->msg, NULL);
		p->refused++;
		free(item);
		return;
	}
	item->at_ms = loop_now_ms() + in_ms;
	append(p, item);
}

/* Back to where it was; a resync makes it superfluous. */
static void
put_back(struct reload_peer *p, struct reload_item *item)
{
	if (p->wants_resync) {
		free(item);
		return;
	}
	item->next = p->first;
	p->first = item;
	p->n++;
}

void
reload_peer_done(struct reload_peer *p, enum reload_outcome outcome,
		 int64_t in_ms, const struct verr *e)
{
	struct reload_item *item = p->asked;

	p->asked = NULL;
	if (outcome == RELOAD_AWAY) {
		went_away(p, e);
		put_back(p, item);
		return;
	}
	if (!p->is_up)
		is_back(p);
	switch (outcome) {
	case RELOAD_LATER:
		item->at_ms = loop_now_ms() + in_ms;
		put_back(p, item);
		break;
	case RELOAD_AGAIN:
		again(p, item, e);
		break;
	case RELOAD_REFUSED:
		log_event(LOG_LEVEL_WARNING, "refused", "peer", p->name,
			  "command", item->command, "error", e->msg, NULL);
		p->refused++;
		free(item);
		break;
	default:
		log_event(LOG_LEVEL_DEBUG, "sent", "peer", p->name, "command",
			  item->command, NULL);
		p->applied++;
		free(item);
	}
	soon(p);
}
