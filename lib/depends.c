#include "depends.h"

#include <string.h>

/* clang-format off */
static const struct kind {
	uint32_t tables; /* 0: every one */
	/* The table of the lookup's user: a change of one user leaves the
	 * answers about others alone. */
	const char *row;
} kinds[] = {
	[LOOKUP_USER] = { CACHE_DOMAINS | CACHE_EXTENSIONS |
			  CACHE_VOICEMAIL_BOXES, "users" },
	[LOOKUP_MAILBOX] = { CACHE_DOMAINS | CACHE_EXTENSIONS |
			     CACHE_VOICEMAIL_BOXES | CACHE_USERS, NULL },
	[LOOKUP_DOMAIN] = { CACHE_DOMAINS, NULL },
	[LOOKUP_NETWORKS] = { CACHE_DOMAINS | CACHE_USERS, NULL },
	[LOOKUP_GATEWAYS] = { CACHE_DOMAINS | CACHE_TRUNKS, NULL },
	[LOOKUP_CALLCENTER] = { CACHE_DOMAINS | CACHE_QUEUES |
				CACHE_QUEUE_MEMBERS | CACHE_USERS |
				CACHE_EXTENSIONS | CACHE_RECORDING_POLICIES,
				NULL },
	[LOOKUP_IVR] = { CACHE_DOMAINS | CACHE_IVR_MENUS | CACHE_IVR_ENTRIES |
			 CACHE_QUEUES | CACHE_VOICEMAIL_BOXES, NULL },
	[LOOKUP_CONFERENCE] = { CACHE_DOMAINS | CACHE_CONFERENCES, NULL },
	[LOOKUP_ACL] = { CACHE_DOMAINS | CACHE_USERS |
			 CACHE_TRUSTED_ADDRESSES, NULL },
};
/* clang-format on */

static const struct kind *
kind_of(unsigned what)
{
	static const struct kind other;

	if (what >= sizeof(kinds) / sizeof(kinds[0]))
		return &other;
	return &kinds[what];
}

void
depends_item(struct cache_item *item, const struct lookup *l,
	     const struct question *q)
{
	const struct kind *kind = kind_of(l->what);

	memset(item, 0, sizeof(*item));
	item->domain = q->domain;
	item->tables = kind->tables ? kind->tables : CACHE_EVERYTHING;
	if (kind->row)
		item->rows[0] = (struct cache_row){ kind->row, l->user };
}

void
depends_result(struct cache_item *item, const struct lookup *l,
	       const struct db_result *result)
{
	if (l->what == LOOKUP_USER && result && db_rows(result) > 0)
		item->rows[1] =
			(struct cache_row){ "users",
					    db_field(result, 0, "username") };
}

/* answer_key(): the kind; the domain; each parameter, the user's name last. */
void
depends_restored(struct cache_item *item)
{
	const unsigned char *key = item->key;
	const struct kind *kind = kind_of(key[0]);
	const char *last = (const char *)key + item->key_len - 1;

	if (!kind->row || *last)
		return;
	while (last > (const char *)key && last[-1] > 1)
		last--;
	item->rows[0] = (struct cache_row){ kind->row, last };
}

enum depends_ttl
depends_ttl(const struct lookup *l)
{
	return strcmp(l->section, "directory") == 0 ? DEPENDS_TTL_DIRECTORY
						    : DEPENDS_TTL_EXTENSION;
}
