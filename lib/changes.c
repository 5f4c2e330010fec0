#include "changes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More kinds of change than this in one pause are a change of everything. */
#define WAITING_MAX 64

struct place {
	char table[64]; /* "": any */
	char domain[256];
};

struct changes {
	struct loop *loop;
	struct cache *cache;
	struct loop_timer pause;
	struct place waiting[WAITING_MAX];
	size_t count;
	bool everything;
};

static void
apply(struct changes *c, const struct place *place)
{
	cache_changed(c->cache, *place->table ? place->table : NULL,
		      place->domain);
}

static void
on_pause_over(void *arg)
{
	struct changes *c = arg;

	if (!c->count && !c->everything)
		return;
	if (c->everything)
		cache_changed(c->cache, NULL, NULL);
	for (size_t i = 0; i < c->count && !c->everything; i++)
		apply(c, &c->waiting[i]);
	c->count = 0;
	c->everything = false;
	loop_timer_set(c->loop, &c->pause, CHANGES_PAUSE_MS);
}

static void
wait_for_pause(struct changes *c, const struct place *place)
{
	/* The same one again and again is what a burst is. */
	for (size_t i = c->count; i > 0; i--)
		if (memcmp(&c->waiting[i - 1], place, sizeof(*place)) == 0)
			return;
	if (c->count == WAITING_MAX)
		c->everything = true;
	else
		c->waiting[c->count++] = *place;
}

void
changes_note(struct changes *c, const struct change *change)
{
	bool one_row = change->op != CHANGE_MANY && change->op != CHANGE_RESYNC;
	struct place place;

	/* All of it is compared. */
	memset(&place, 0, sizeof(place));
	if (one_row && !*change->parent && *change->domain)
		cache_row_changed(c->cache, change->table, change->domain,
				  change->name);
	/* Many users may be all that answers are made of. */
	if (one_row)
		snprintf(place.table, sizeof(place.table), "%s", change->table);
	if (change->op != CHANGE_RESYNC)
		snprintf(place.domain, sizeof(place.domain), "%s",
			 change->domain);
	if (c->pause.is_set) {
		wait_for_pause(c, &place);
		return;
	}
	apply(c, &place);
	loop_timer_set(c->loop, &c->pause, CHANGES_PAUSE_MS);
}

struct changes *
changes_new(struct loop *loop, struct cache *cache, struct verr *e)
{
	struct changes *c = calloc(1, sizeof(*c));

	if (!c) {
		verr_set(e, VERR_RETRY, "out of memory");
		return NULL;
	}
	c->loop = loop;
	c->cache = cache;
	c->pause = (struct loop_timer){ .fn = on_pause_over, .arg = c };
	return c;
}

void
changes_free(struct changes *c)
{
	if (!c)
		return;
	loop_timer_clear(c->loop, &c->pause);
	free(c);
}
